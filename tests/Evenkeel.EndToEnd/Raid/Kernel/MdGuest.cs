using System.Text;

namespace Evenkeel.EndToEnd.Raid.Kernel;

/// <summary>
/// A virtual machine under software emulation with the kernel's md, mdadm and a shell: it gets disks by name, runs one script with
/// <c>/dev/by/NAME</c> for each, and says what the script printed on lines that begin with <c>EK</c>.
/// </summary>
internal static class MdGuest
{
    private const string Init = """
        #!/bin/busybox sh
        /bin/busybox mkdir -p /proc /sys /dev /tmp /run /etc
        /bin/busybox --install -s /bin
        mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
        for module in $(cat /modules); do insmod /lib/modules/$module || echo "EK insmod-failed $module"; done
        mkdir /dev/by
        for disk in /sys/block/vd*; do ln -s /dev/${disk##*/} /dev/by/$(cat $disk/serial); done
        . /job
        echo EK end
        sync
        poweroff -f

        """;

    /// <summary>Boots, runs the script, and returns the words after EK, a line each.</summary>
    public static async Task<IReadOnlyList<string>> RunAsync(GuestKernel kernel, string directory, IReadOnlyDictionary<string, string> disks, string script, byte[] pattern)
    {
        var archive = new CpioArchive();
        var modules = kernel.InLoadingOrder("crc32c_generic", "virtio_pci", "virtio_blk", "md-mod", "raid0", "raid1", "raid10", "raid456");
        archive.AddFile("/init", Encoding.UTF8.GetBytes(Init));
        archive.AddFile("/job", Encoding.UTF8.GetBytes(script));
        archive.AddFile("/pattern", pattern);
        archive.AddFile("/modules", Encoding.UTF8.GetBytes(string.Join('\n', modules.Select(module => Path.GetFileName(module)))));
        foreach (var module in modules) archive.AddFile("/lib/modules/" + Path.GetFileName(module), await File.ReadAllBytesAsync(module));
        archive.AddFile("/bin/busybox", await File.ReadAllBytesAsync("/usr/bin/busybox"));
        archive.AddFile("/bin/mdadm", await File.ReadAllBytesAsync("/usr/sbin/mdadm"));
        // ldd names each library with the path where the program will look for it.
        foreach (var word in (await Tool.RunAsync("ldd", "/usr/sbin/mdadm")).Split((char[])[' ', '\n', '\t']))
            if (word.StartsWith('/')) archive.AddFile(word, await File.ReadAllBytesAsync(word));
        var initramfs = Path.Combine(directory, "initramfs");
        await File.WriteAllBytesAsync(initramfs, archive.ToArray());

        List<string> arguments =
        [
            "-n", "19", "qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot",
            "-kernel", kernel.Image, "-initrd", initramfs, "-append", "console=ttyS0 quiet panic=-1",
        ];
        var place = 0;
        foreach (var (name, path) in disks)
        {
            // Eight disks to a PCI slot, as functions of one device.
            arguments.AddRange(["-drive", $"if=none,id={name},file={path},format=raw,cache=unsafe"]);
            arguments.AddRange(["-device", $"virtio-blk-pci,drive={name},serial={name},addr=0x{4 + place / 8:x}.{place % 8},multifunction=on"]);
            place++;
        }

        var output = await Tool.RunAsync("nice", [.. arguments]);
        var said = output.Split('\n').Select(line => line.Trim('\r', ' ')).Where(line => line.StartsWith("EK ", StringComparison.Ordinal)).Select(line => line[3..]).ToArray();
        Xunit.Assert.True(said.Contains("end"), "the guest did not come to its end:\n" + output);
        return said;
    }
}
