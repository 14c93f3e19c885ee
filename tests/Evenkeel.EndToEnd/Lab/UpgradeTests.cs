using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Cli;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>A cluster of an earlier build becomes one of this build, a node after the other, as docs/operations/upgrade.md says, while clients ask.</summary>
[Trait("needs", "root")]
[Trait("Stage", "long")]
public sealed class UpgradeTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const string Cluster = "upgrade";
    private Servers servers = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync(Cluster);

    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Nodes_UpgradedOneAfterTheOther_NoRequestFailsAndAnOlderProgramIsRefusedAfterwards()
    {
        var previous = await PreviousBuild.ProgramAsync(Token);
        await servers.InitAllAsync(previous);
        foreach (var node in new[] { "n1", "n2", "n3" }) servers.StartAgent(node, previous);
        await servers.WholeAsync();
        await servers.ServesAsync();

        var observer = await servers.ObserveAsync(Servers.Patient);
        // All of a node anew: agent, guard, etcd.
        await DrainAsync("n3");
        servers.StopAgent("n3");
        servers.StartAgent("n3");
        await ResumeAsync("n3");
        // The agent alone: its guard is of the earlier build, and holds what runs.
        await DrainAsync("n2");
        await servers.LeaveAsync("n2");
        servers.StartAgent("n2");
        await ResumeAsync("n2");
        Servers.Expect(0, await servers.RunAsync("n2", "status", "--cluster", LocalPaths.ControlSocket(Cluster, "n2")), "nodes run different versions", "VERSION");
        await DrainAsync("n1");
        await servers.LeaveAsync("n1");
        servers.StartAgent("n1");
        await ResumeAsync("n1");
        Assert.DoesNotContain("VERSION", (await servers.StatusAsync()).Output, StringComparison.Ordinal);
        await EndAsync(observer, "an upgrade of three nodes");

        // From this build on a restart needs no drain: the agent gives its virtual IP away first.
        observer = await servers.ObserveAsync(Servers.Patient);
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            var before = await WebAsync(node);
            var took = System.Diagnostics.Stopwatch.StartNew();
            await servers.LeaveAsync(node);
            servers.StartAgent(node);
            await servers.WholeAsync();
            output.WriteLine($"{node}'s agent was replaced, and all was well, after {took.Elapsed.TotalSeconds:F1} s");
            Assert.Equal(before, await WebAsync(node));
        }

        await EndAsync(observer, "a restart of three agents");

        // A later release has raised the format of the state: this one must not touch it.
        await servers.RunProgramAsync("n1", "etcdctl", "--endpoints", "https://10.77.0.11:" + PrivatePorts.EtcdClient, "--cacert", Tls(NodeCertificate.AuthorityFile),
            "--cert", Tls(NodeCertificate.CertificateFile), "--key", Tls(NodeCertificate.KeyFile), "put", $"evenkeel/{Cluster}/d//evenkeel/{Cluster}/format", "99");
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            Assert.Equal(ExitCode.TooOld, await servers.EndAsync(node));
            Assert.Contains("the cluster's state is of format 99", servers.Log(node), StringComparison.Ordinal);
        }
    }

    private string Tls(string file) => Path.Combine(servers.State("n1"), "tls", file);

    private async Task DrainAsync(string node)
    {
        Servers.Expect(0, await servers.RunAsync(node, "drain", node, "--cluster", LocalPaths.ControlSocket(Cluster, node)));
        var other = node == "n1" ? "n2" : "n1";
        for (var deadline = NamespaceLab.Deadline(); await ControlCalls.StatusAsync(LocalPaths.ControlSocket(Cluster, other), deadline) is not { } status
            || status.Vips.Any(vip => !vip.Held || vip.Owner!.Node.Value == node); await Task.Delay(50, deadline)) { }
    }

    private async Task ResumeAsync(string node)
    {
        await servers.UntilAsync(0, node, ["resume", node, "--cluster", LocalPaths.ControlSocket(Cluster, node)]);
        await servers.WholeAsync();
    }

    private async Task EndAsync(Observer observer, string what)
    {
        var seen = await observer.EndAsync();
        observer.Dispose();
        output.WriteLine($"{what}: {seen.Requests.Count} requests, {seen.Failed.Count} failed, longest outage {seen.LongestOutage:F0} ms, slowest {seen.Requests.Max(one => one.Took):F0} ms");
        Assert.True(seen.Failed.Count == 0, servers.Evidence(seen));
    }

    private Task<int> WebAsync(string node) => RunningPrograms.OneInAsync(servers.Namespace(node), RunningPrograms.IsWeb, "web service");
}
