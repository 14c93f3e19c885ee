using Evenkeel.Agent.Local;
using Evenkeel.EndToEnd.Lab;
using Evenkeel.EndToEnd.Package;
using Xunit;

namespace Evenkeel.EndToEnd.Systemd;

/// <summary>The bounds of the units that are shipped, over a real systemd: what a volume's mount needs, and what the documentation says of it.</summary>
[Trait("needs", "root")]
public sealed class GuardUnitTests : IAsyncLifetime
{
    private const string Guard = "evenkeel-guard.service";
    private static readonly string packaging = Path.Combine(Checkout.Root, "packaging");
    private static readonly string document = File.ReadAllText(Path.Combine(Checkout.Root, "docs", "operations", "daemon.md"));
    private UserManager manager = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => manager = await UserManager.StartAsync(Token);

    public ValueTask DisposeAsync() => manager.DisposeAsync();

    [Fact]
    public async Task Volume_IsMountedWithTheDocumentedDropIn_WhereTheWholeServerSeesIt_AndNotWithoutIt()
    {
        var mount = Directory.CreateDirectory(Path.Combine(manager.Directory, "volume")).FullName;
        var image = Path.Combine(manager.Directory, "volume.img");
        // As a volume's writer does it: an image, a loop device, a file system, a mount.
        await manager.AddAsync(Guard, await File.ReadAllTextAsync(Path.Combine(packaging, Guard), Token), Token);
        await manager.AddAsync(Guard + ".d/test.conf", $"""
            [Service]
            Type=oneshot
            RemainAfterExit=yes
            ExecStart=
            ExecStart=/bin/sh -ec 'truncate -s 16M {image}; mkfs.ext4 -q -F {image}; mount -o loop {image} {mount}; : >/dev/fuse; echo kept >{mount}/file'
            ExecStop=/bin/umount {mount}
            """, Token);
        await Assert.ThrowsAsync<LocalClusterException>(() => manager.AskAsync(["start", Guard], Token));

        var dropIn = document[document.IndexOf("systemctl edit evenkeel-guard\n", StringComparison.Ordinal)..].Split('\n').Skip(1).TakeWhile(line => line != "```");
        await manager.AddAsync(Guard + ".d/override.conf", string.Join('\n', dropIn) + "\n", Token);
        await manager.AskAsync(["start", Guard], Token);
        Assert.Equal("kept\n", await manager.OutsideAsync(["cat", Path.Combine(mount, "file")], Token));
        await manager.AskAsync(["stop", Guard], Token);
    }

    [Fact]
    public async Task Agent_MayReadHowTheClockIsKept()
    {
        const string unit = "evenkeel.service";
        var bounds = UnitFile.Parse(await File.ReadAllTextAsync(Path.Combine(packaging, unit), Token));
        // A user's manager cannot cover /proc/kmsg.
        string[] kept = [.. bounds.Keys.Where(key => key.StartsWith("Protect", StringComparison.Ordinal) && key != "ProtectKernelLogs"), "CapabilityBoundingSet"];
        var said = Path.Combine(manager.Directory, "clock");
        var adjtimex = System.Runtime.InteropServices.RuntimeInformation.ProcessArchitecture == System.Runtime.InteropServices.Architecture.Arm64 ? 171 : 159;
        await manager.AddAsync("clock.service", $"""
            [Service]
            Type=oneshot
            {string.Join('\n', kept.Select(key => $"{key}={bounds.One(key)}"))}
            ExecStart=/usr/bin/perl -e 'my $$b = chr(0) x 512; open my $$f, ">", "{said}"; print $$f syscall({adjtimex}, $$b) < 0 ? "refused: $$!" : "read"'
            """, Token);
        await manager.AskAsync(["start", "clock.service"], Token);
        Assert.Equal("read", await File.ReadAllTextAsync(said, Token));
    }

    [Fact]
    public void Capabilities_AreTheSameForBothUnits_AndTheDocumentationSaysWhatEachIsFor()
    {
        var agent = UnitFile.Parse(File.ReadAllText(Path.Combine(packaging, "evenkeel.service"))).Words("CapabilityBoundingSet");
        Assert.Equal(agent, UnitFile.Parse(File.ReadAllText(Path.Combine(packaging, Guard))).Words("CapabilityBoundingSet"));
        var rows = document.Split('\n').Where(line => line.StartsWith("| `CAP_", StringComparison.Ordinal)).SelectMany(line => line.Split('|')[1].Split(',')).Select(name => name.Trim(' ', '`'));
        // Nobody sets the clock, loads modules or reads the kernel's log here, and without volumes nothing is mounted.
        Assert.DoesNotContain(agent, one => one is "CAP_SYS_TIME" or "CAP_SYS_MODULE" or "CAP_SYSLOG" or "CAP_SYS_ADMIN");
        Assert.Equal(agent.Order(StringComparer.Ordinal), rows.Order(StringComparer.Ordinal));
    }
}
