using System.Diagnostics;
using System.Globalization;
using Evenkeel.Agent.Local;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Systemd;

/// <summary>The agent of one of three nodes as a unit of a real systemd, by the unit file that is shipped.</summary>
[Trait("needs", "root")]
[Trait("Turn", "1")]
public sealed class DaemonTests : IAsyncLifetime
{
    private const string Unit = "evenkeel.service", Guard = "evenkeel-guard.service";
    private Servers servers = null!;
    private UserManager manager = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        servers = await Servers.StartAsync("daemon");
        manager = await UserManager.StartAsync(Token);
        try
        {
            await StartAsync();
        }
        catch
        {
            // Nobody else does, after a failure here.
            await DisposeAsync();
            throw;
        }
    }

    private async Task StartAsync()
    {
        await servers.InitAllAsync();
        foreach (var other in new[] { "n2", "n3" }) servers.StartAgent(other);
        await manager.AddAsync(Unit, await File.ReadAllTextAsync(Path.Combine(Checkout.Root, "packaging", Unit), Token), Token);
        await manager.AddAsync(Guard, await File.ReadAllTextAsync(Path.Combine(Checkout.Root, "packaging", Guard), Token), Token);
        await manager.AddAsync(Guard + ".d/test.conf", $"""
            [Service]
            ExecStart=
            ExecStart={Path.Combine(Path.GetDirectoryName(Checkout.Program)!, "guard", "evenkeel-guard")} --socket {Path.Combine(servers.State("n1"), "guard.sock")} --state {servers.State("n1")} --log {Path.Combine(manager.Directory, "guard.log")}
            NetworkNamespacePath=/run/netns/{servers.Namespace("n1")}
            ProtectKernelLogs=no
            """, Token);
        // Where this node's program, state and network are; and a shorter watchdog, so that nobody waits.
        await manager.AddAsync(Unit + ".d/test.conf", $"""
            [Unit]
            ConditionPathExists=
            [Service]
            ExecStart=
            ExecStart={Checkout.Program} agent --configuration {Path.Combine(servers.State("n1"), "agent.json")}
            NetworkNamespacePath=/run/netns/{servers.Namespace("n1")}
            # Not the tests' own systemctl, which enters the manager's namespaces: the unit is in them, and may enter none.
            Environment="EVENKEEL_GUARD_START=/usr/bin/systemctl --user start {Guard}"
            WatchdogSec=2s
            # A user's manager cannot cover /proc/kmsg.
            ProtectKernelLogs=no
            StandardOutput=append:{Path.Combine(manager.Directory, "agent.log")}
            StandardError=inherit
            """, Token);
        try
        {
            await manager.AskAsync(["start", Unit], Token);
        }
        catch (LocalClusterException exception)
        {
            var log = Path.Combine(manager.Directory, "agent.log");
            throw new InvalidOperationException($"{exception.Message}\n{(File.Exists(log) ? await File.ReadAllTextAsync(log, Token) : "")}");
        }

        await servers.WholeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        // First the nodes, or those that are left alone fail over.
        await servers.DisposeAsync();
        await manager.DisposeAsync();
    }

    [Fact]
    public async Task Restart_ACrashAndAHang_TouchNoService_AndAStopEndsAll()
    {
        Assert.Equal("node n1 of cluster daemon", await manager.PropertyAsync(Unit, "StatusText", Token));
        var before = await RunningAsync();
        Assert.True(before is { Guard: > 0, Web: > 0, Etcd: > 0 }, $"{before}");

        // The guard is not the agent's unit's, nor is what it runs: no way of ending that unit reaches them.
        Assert.Equal(before.Guard.ToString(CultureInfo.InvariantCulture), await manager.PropertyAsync(Guard, "MainPID", Token));
        var group = await manager.PropertyAsync(Guard, "ControlGroup", Token);
        Assert.Contains(group, await File.ReadAllTextAsync($"/proc/{before.Web}/cgroup", Token), StringComparison.Ordinal);

        await manager.AskAsync(["restart", Unit], Token);
        await SameButTheAgentAsync(before, "a restart");

        Signals.Send(await AgentAsync(), Signals.Kill);
        await NewAgentAsync(before.Agent);
        await SameButTheAgentAsync(before, "a crash");

        // It hangs: its watchdog is not fed.
        var hung = await AgentAsync();
        Signals.Send(hung, Signals.Stop);
        await NewAgentAsync(hung);
        Assert.Equal("2", await manager.PropertyAsync(Unit, "NRestarts", Token));
        await WholeAsync();

        await manager.AskAsync(["stop", Unit], Token);
        // The guard goes last; nobody waits for the end of its process.
        for (var clock = Stopwatch.StartNew(); await RunningAsync() is var left && left != new Running(0, 0, 0, 0); await Task.Delay(20, Token))
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(10), $"after a stop there is still {left}");
        Assert.Equal("success", await manager.PropertyAsync(Unit, "Result", Token));
        Assert.Equal(("inactive", "success"), (await manager.PropertyAsync(Guard, "ActiveState", Token), await manager.PropertyAsync(Guard, "Result", Token)));
    }

    private sealed record Running(int Agent, int Guard, int Web, int Etcd);

    // A node that is lost so often is quarantined, and rightly so: an operator who restarts it on purpose says that all is well.
    private async Task WholeAsync()
    {
        Servers.Expect(0, await servers.RunAsync("n2", "resume", "n1", "--cluster", "daemon"));
        await servers.WholeAsync();
    }

    private async Task SameButTheAgentAsync(Running before, string after)
    {
        await WholeAsync();
        var now = await RunningAsync();
        Assert.NotEqual(before.Agent, now.Agent);
        Assert.True(before with { Agent = now.Agent } == now, $"after {after}: {now}, before: {before}");
    }

    private async Task<int> AgentAsync() => int.Parse(await manager.PropertyAsync(Unit, "MainPID", Token), CultureInfo.InvariantCulture);

    private async Task NewAgentAsync(int former)
    {
        for (var clock = Stopwatch.StartNew(); await AgentAsync() is var agent && (agent == 0 || agent == former || await manager.PropertyAsync(Unit, "ActiveState", Token) != "active"); await Task.Delay(50, Token))
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30), "no new agent");
    }

    private async Task<Running> RunningAsync()
    {
        int guard = 0, web = 0, etcd = 0;
        foreach (var (id, words) in await RunningPrograms.InAsync(servers.Namespace("n1")))
        {
            if (RunningPrograms.IsGuard(words)) guard = id;
            if (RunningPrograms.IsWeb(words)) web = id;
            if (words[0].EndsWith("etcd", StringComparison.Ordinal)) etcd = id;
        }

        return new Running(await AgentAsync(), guard, web, etcd);
    }
}
