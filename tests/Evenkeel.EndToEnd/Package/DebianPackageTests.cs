using System.Diagnostics;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Package;

/// <summary>The Debian package, built from this checkout and installed into a bare Debian without .NET. <c>./test package</c>.</summary>
[Trait("needs", "root")]
[Trait("Stage", "package")]
public sealed class DebianPackageTests : IAsyncLifetime
{
    private const string ClusterText = """
        version: 1
        cluster: packaged
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: 203.0.113.10 }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
        services:
          web:
            process: { command: [/usr/bin/perl, /root/web.pl, "{private}"] }
            port: 5000
            redundancy: hot
            health: { http: /, every: 500ms, timeout: 500ms }
            publish: [{ vip: front, port: 80, protocol: http }]
        """;

    // What there is in a bare Debian to answer with.
    private const string WebServer = """
        use IO::Socket::INET;
        my $listener = IO::Socket::INET->new(LocalAddr => $ARGV[0], LocalPort => 5000, Listen => 20, ReuseAddr => 1) or die "$!";
        while (my $client = $listener->accept) {
          while (<$client>) { last if /^\r?$/ }
          print $client "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\npackaged";
          close $client;
        }
        """;

    private readonly string root = Directory.CreateTempSubdirectory("ek-debian-").FullName;
    private readonly LabNetwork network = new(ClusterFile.Parse(ClusterText).Spec!);
    private readonly List<string> mounts = [];

    private string[] Chroot => ["env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "HOME=/root", "chroot", root];
    private string Namespace => network.Namespace("n1");

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        await network.DownAsync();
        foreach (var mount in Enumerable.Reverse(mounts)) await SystemCommand.RunAsync(["umount", mount], CancellationToken.None);
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
        await network.UpAsync(Token);
        await MountAsync("proc", "--bind", "/proc");
        // The interfaces of this server, not of the machine that it runs on.
        await MountAsync("sys", "-t", "sysfs", "none");
        File.Copy(package, Path.Combine(root, "root", "evenkeel.deb"));
        await InsideAsync("apt-get", "install", "-yq", "--no-install-recommends", "/root/evenkeel.deb");
        await Assert.ThrowsAsync<LocalClusterException>(() => InsideAsync("sh", "-c", "command -v dotnet"));

        Assert.StartsWith("evenkeel 0.", await InsideAsync("evenkeel", "version"), StringComparison.Ordinal);
        Assert.Contains("Keeps services running", await InsideAsync("evenkeel", "--help"), StringComparison.Ordinal);
        Assert.Contains("is right", await InsideAsync("evenkeel", "config", "check", "/usr/share/doc/evenkeel/examples/cluster.yaml"), StringComparison.Ordinal);
        // The guard says how it is called, and that is all that it can do here.
        Assert.Contains("usage: evenkeel-guard", await InsideAsync("sh", "-c", "/usr/lib/evenkeel/guard/evenkeel-guard 2>&1 || true"), StringComparison.Ordinal);
        await ServesAsync();

        await InsideAsync("apt-get", "remove", "-yq", "evenkeel");
        await InsideAsync("test", "-f", "/var/lib/evenkeel/agent.json");
        foreach (var gone in new[] { "/usr/bin/evenkeel", "/usr/lib/evenkeel", UnitPath("evenkeel.service"), UnitPath("evenkeel-guard.service") })
            await Assert.ThrowsAsync<LocalClusterException>(() => InsideAsync("test", "-e", gone));
        await InsideAsync("apt-get", "purge", "-yq", "evenkeel");
        Assert.Equal("", await InsideAsync("find", "/etc", "/opt", "/usr", "/var", "-name", "*evenkeel*"));
    }

    /// <summary>The server becomes a node, and its agent and guard run as the installed units say, with no more capabilities than they give.</summary>
    private async Task ServesAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(root, "root", "cluster.yaml"), ClusterText, Token);
        await File.WriteAllTextAsync(Path.Combine(root, "root", "web.pl"), WebServer, Token);
        await OnServerAsync("evenkeel", "init", "/root/cluster.yaml", "--node", "n1");
        Assert.Equal("700", (await InsideAsync("stat", "-c", "%a", "/var/lib/evenkeel")).Trim());

        var agent = UnitFile.Parse(await File.ReadAllTextAsync(Path.Combine(root, UnitPath("evenkeel.service")[1..]), Token));
        var guard = UnitFile.Parse(await File.ReadAllTextAsync(Path.Combine(root, UnitPath("evenkeel-guard.service")[1..]), Token));
        Directory.CreateDirectory(Path.Combine(root, "run", agent.One("RuntimeDirectory")));
        // No systemd runs here: this is what of it the agent's unit asks for. The guard leaves the agent's session, as a unit of its own would.
        var systemctl = Path.Combine(root, "usr", "local", "bin", "systemctl");
        await File.WriteAllTextAsync(systemctl, $"""
            #!/bin/sh
            [ "$*" = "start evenkeel-guard.service" ] || exit 1
            exec setsid --fork setpriv {Bound(guard)} {guard.One("ExecStart")} >>/root/guard.out 2>&1

            """, Token);
        File.SetUnixFileMode(systemctl, (UnixFileMode)0b111_101_101);
        var environment = agent.All("Environment").Select(line => line.Trim('"'));
        using var running = Process.Start("nsenter", [$"--net=/run/netns/{Namespace}", .. Chroot, "env", .. environment, "setpriv", .. Bound(agent).Split(' '),
            "sh", "-c", $"exec {agent.One("ExecStart")} >>/root/agent.log 2>&1"]);
        try
        {
            await UntilServedAsync(running);
            Assert.Contains(await RunningPrograms.InAsync(Namespace), one => one.Words[0] == "/usr/lib/evenkeel/guard/evenkeel-guard");
            var status = await OnServerAsync("evenkeel", "status");
            Assert.Contains("web", status, StringComparison.Ordinal);
        }
        finally
        {
            Signals.Send(running.Id, Signals.Terminate);
        }

        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromSeconds(60));
        await running.WaitForExitAsync(limit.Token);
        Assert.True(running.ExitCode == 0, Log());
        while ((await LabNetwork.ProcessesIn(Namespace)).Count > 0) await Task.Delay(50, limit.Token);
    }

    private async Task UntilServedAsync(Process agent)
    {
        var last = "";
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < TimeSpan.FromSeconds(120); await Task.Delay(500, Token))
        {
            Assert.False(agent.HasExited, Log());
            try
            {
                // Exit code 0: everything is all right.
                last = await OnServerAsync("evenkeel", "status");
                Assert.Equal("packaged", await SystemCommand.RunAsync(["nsenter", $"--net=/run/netns/{network.Namespace("client")}", "curl", "-sS", "--fail", "-m", "5", "http://203.0.113.10/"], Token));
                return;
            }
            catch (LocalClusterException exception)
            {
                last = exception.Message;
            }
        }

        Assert.Fail($"{last}\n{await SystemCommand.RunAsync(["nsenter", $"--net=/run/netns/{Namespace}", .. Chroot, "sh", "-c", "evenkeel status || true"], Token)}\n{Log()}");
    }

    private static string UnitPath(string unit) => $"/usr/lib/systemd/system/{unit}";

    /// <summary>setpriv(1)'s words for the unit's bound: what is not in it a process of root does not get either, as under systemd.</summary>
    private static string Bound(UnitFile unit) => "--inh-caps=-all --bounding-set=-all," + string.Join(',', unit.Words("CapabilityBoundingSet").Select(one => "+" + one["CAP_".Length..].ToLowerInvariant()));

    private string Log() => Path.Combine(root, "root", "agent.log") is var log && File.Exists(log) ? File.ReadAllText(log) : "";

    private async Task MountAsync(string where, params string[] what)
    {
        var target = Path.Combine(root, where);
        await SystemCommand.RunAsync(["nsenter", $"--net=/run/netns/{Namespace}", "mount", .. what, target], Token);
        mounts.Add(target);
    }

    private Task<string> OnServerAsync(params string[] command) => SystemCommand.RunAsync(["nsenter", $"--net=/run/netns/{Namespace}", .. Chroot, .. command], Token);

    private Task<string> InsideAsync(params string[] command) =>
        SystemCommand.RunAsync([.. Chroot, .. command], Token);
}
