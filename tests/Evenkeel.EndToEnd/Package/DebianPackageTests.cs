using Evenkeel.Agent.Local;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Package;

/// <summary>The Debian package, built from this checkout and installed into a bare Debian without .NET. <c>./test package</c>.</summary>
[Trait("needs", "root")]
[Trait("Stage", "package")]
public sealed class DebianPackageTests : IAsyncLifetime
{
    private readonly string root = Directory.CreateTempSubdirectory("ek-debian-").FullName;
    private const string Network = "ek-package";
    private bool mounted;

    private string[] Chroot => ["env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "HOME=/root", "chroot", root];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        if ((await LabNetwork.ExistingNamespaces()).Contains(Network)) await SystemCommand.RunAsync(["ip", "netns", "del", Network], CancellationToken.None);
        if (mounted) await SystemCommand.RunAsync(["umount", Path.Combine(root, "proc")], CancellationToken.None);
        Directory.Delete(root, recursive: true);
    }

    [Fact]
    public async Task Package_IsInstalledAndRunsWhereThereIsNoRuntime()
    {
        var made = (await SystemCommand.RunAsync([Path.Combine(Checkout.Root, "evenkeel"), "package"], Token)).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        var package = made.Single(file => file.EndsWith(".deb", StringComparison.Ordinal));
        var inside = await SystemCommand.RunAsync(["dpkg-deb", "--contents", package], Token);
        Assert.All(["./usr/lib/systemd/system/evenkeel-guard.service", "./usr/share/man/man8/evenkeel-preflight.8.gz", "./usr/share/zsh/vendor-completions/_evenkeel", "./usr/share/fish/vendor_completions.d/evenkeel.fish", "./usr/bin/evenkeel", "./usr/lib/evenkeel/guard/evenkeel-guard", "./usr/lib/systemd/system/evenkeel.service", "./usr/share/man/man8/evenkeel.8.gz", "./usr/share/bash-completion/completions/evenkeel"],
            file => Assert.Contains(file, inside, StringComparison.Ordinal));
        Assert.Contains(made, file => file.EndsWith(".tar.gz", StringComparison.Ordinal));

        var mirror = (await SystemCommand.RunAsync(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages"], Token)).Split('\n')[0].Split(' ');
        await SystemCommand.RunAsync(["debootstrap", "--variant=minbase", mirror[1].Split('-')[0], root, mirror[0]], Token);
        await SystemCommand.RunAsync(["mount", "--bind", "/proc", Path.Combine(root, "proc")], Token);
        mounted = true;
        File.Copy(package, Path.Combine(root, "root", "evenkeel.deb"));
        await InsideAsync("apt-get", "install", "-yq", "--no-install-recommends", "/root/evenkeel.deb");
        await Assert.ThrowsAsync<LocalClusterException>(() => InsideAsync("sh", "-c", "command -v dotnet"));

        Assert.StartsWith("evenkeel 0.", await InsideAsync("evenkeel", "version"), StringComparison.Ordinal);
        Assert.Contains("Keeps services running", await InsideAsync("evenkeel", "--help"), StringComparison.Ordinal);
        Assert.Contains("is right", await InsideAsync("evenkeel", "config", "check", "/usr/share/doc/evenkeel/examples/cluster.yaml"), StringComparison.Ordinal);
        // The guard says how it is called, and that is all that it can do here.
        Assert.Contains("usage: evenkeel-guard", await InsideAsync("sh", "-c", "/usr/lib/evenkeel/guard/evenkeel-guard 2>&1 || true"), StringComparison.Ordinal);
        // A server with the addresses that the file gives n1.
        await SystemCommand.RunAsync(["ip", "netns", "add", Network], Token);
        await SystemCommand.RunAsync(["ip", "-n", Network, "link", "add", "all0", "type", "bridge"], Token);
        foreach (var address in new[] { "10.77.0.11/24", "203.0.113.11/24" }) await SystemCommand.RunAsync(["ip", "-n", Network, "address", "add", address, "dev", "all0"], Token);
        await SystemCommand.RunAsync(["nsenter", $"--net=/run/netns/{Network}", .. Chroot, "evenkeel", "init", "/usr/share/doc/evenkeel/examples/cluster.yaml", "--node", "n1", "--bundles"], Token);
        Assert.Equal("700", (await InsideAsync("stat", "-c", "%a", "/var/lib/evenkeel")).Trim());

        await InsideAsync("apt-get", "remove", "-yq", "evenkeel");
        await InsideAsync("test", "-f", "/var/lib/evenkeel/agent.json");
        await InsideAsync("apt-get", "purge", "-yq", "evenkeel");
        await Assert.ThrowsAsync<LocalClusterException>(() => InsideAsync("test", "-e", "/var/lib/evenkeel"));
        await Assert.ThrowsAsync<LocalClusterException>(() => InsideAsync("test", "-e", "/usr/bin/evenkeel"));
    }

    private Task<string> InsideAsync(params string[] command) =>
        SystemCommand.RunAsync([.. Chroot, .. command], Token);
}
