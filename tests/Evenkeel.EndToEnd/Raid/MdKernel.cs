using System.Text;
using System.Text.RegularExpressions;
using Xunit;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>
/// Debian's kernel with its md in QEMU (emulated, no KVM needed): members are attached as disks, a script runs as init, its output comes
/// back over the serial line. The kernel is the newest Debian package, unpacked and never installed.
/// </summary>
internal static class MdKernel
{
    private static readonly string[] Modules =
    [
        "crypto/crc32c_generic", "lib/libcrc32c", "crypto/xor", "lib/raid6/raid6_pq", "crypto/async_tx/async_tx", "crypto/async_tx/async_memcpy",
        "crypto/async_tx/async_xor", "crypto/async_tx/async_pq", "crypto/async_tx/async_raid6_recov", "drivers/md/md-mod", "drivers/md/raid0",
        "drivers/md/raid1", "drivers/md/raid10", "drivers/md/raid456", "drivers/virtio/virtio", "drivers/virtio/virtio_ring",
        "drivers/virtio/virtio_pci_legacy_dev", "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci", "drivers/block/virtio_blk",
    ];

    /// <summary>Runs a shell script as root in the machine; disks are /dev/vda, vdb, … in order. The script must print DONE at its end.</summary>
    public static async Task<string> RunAsync(MemberFiles files, string script)
    {
        var kernel = await UnpackAsync();
        var image = Directory.GetFiles(Path.Combine(kernel, "boot"), "vmlinuz-*").Single();
        var modules = Path.Combine(Directory.GetDirectories(Path.Combine(kernel, "lib/modules")).Single(), "kernel");
        var root = Directory.CreateDirectory(files.Beside("root")).FullName;
        foreach (var directory in new[] { "bin", "dev", "proc", "sys", "run", "tmp", "modules" }) Directory.CreateDirectory(Path.Combine(root, directory));
        File.Copy("/bin/busybox", Path.Combine(root, "bin/busybox"));
        await CopyProgramAsync("/sbin/mdadm", root);
        var load = new StringBuilder();
        foreach (var module in Modules)
        {
            var name = Path.GetFileName(module);
            File.Copy(Path.Combine(modules, module + ".ko"), Path.Combine(root, "modules", name + ".ko"));
            load.Append($"insmod /modules/{name}.ko\n");
        }

        await File.WriteAllTextAsync(Path.Combine(root, "init"), $"#!/bin/busybox sh\n/bin/busybox --install -s /bin\nexport PATH=/bin:/sbin\n"
            + "mount -t devtmpfs dev /dev; mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t tmpfs tmp /run\n"
            + $"{load}{script}\nsync\npoweroff -f\n");
        File.SetUnixFileMode(Path.Combine(root, "init"), (UnixFileMode)0x1ed);
        await Tool.RunAsync("sh", "-c", $"cd '{root}' && find . | cpio -o -H newc --quiet > ../initramfs");
        var arguments = new List<string>
        {
            "-machine", "q35,accel=tcg", "-cpu", "max", "-m", "512", "-nographic", "-no-reboot", "-kernel", image, "-initrd", files.Beside("initramfs"),
            "-append", "console=ttyS0 quiet panic=-1", "-net", "none",
        };
        foreach (var path in files.Paths) arguments.AddRange(["-drive", $"file={path},format=raw,if=virtio,cache=unsafe"]);
        var (_, output) = await Tool.TryAsync("qemu-system-x86_64", [.. arguments]);
        Assert.True(output.Contains("DONE", StringComparison.Ordinal), output);
        return output;
    }

    /// <summary>The value that the script printed as <c>KEY value</c>.</summary>
    public static string Value(string output, string key)
    {
        var match = Regex.Match(output, $@"^{Regex.Escape(key)} (\S+)", RegexOptions.Multiline);
        Assert.True(match.Success, $"no '{key}' in:\n{output}");
        return match.Groups[1].Value;
    }

    private static async Task<string> UnpackAsync()
    {
        if (Environment.GetEnvironmentVariable("EVENKEEL_TEST_KERNEL") is { Length: > 0 } given) return given;
        var cache = Path.Combine(Path.GetTempPath(), "evenkeel-test-kernel");
        if (Directory.Exists(cache)) return cache;
        var work = Directory.CreateTempSubdirectory("evenkeel-kernel-").FullName;
        var depends = await Tool.RunAsync("apt-cache", "depends", "linux-image-amd64");
        var package = Regex.Match(depends, @"linux-image-\S+-amd64").Value;
        await Tool.RunAsync("sh", "-c", $"cd '{work}' && apt-get download -q {package} && dpkg -x {package}_*.deb root");
        Directory.Move(Path.Combine(work, "root"), cache);
        Directory.Delete(work, recursive: true);
        return cache;
    }

    private static async Task CopyProgramAsync(string program, string root)
    {
        foreach (Match library in Regex.Matches(await Tool.RunAsync("ldd", program), @"(/\S+)"))
        {
            var target = Path.Combine(root, library.Value.TrimStart('/'));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(library.Value, target, overwrite: true);
        }

        Directory.CreateDirectory(Path.Combine(root, "sbin"));
        File.Copy(program, Path.Combine(root, program.TrimStart('/')));
    }
}
