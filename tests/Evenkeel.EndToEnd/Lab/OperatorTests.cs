using System.Diagnostics;
using Evenkeel.Agent.Local;
using Evenkeel.Cli;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>What an operator asks of a running cluster: a preflight of all nodes, more words in the log, a guard's restart.</summary>
[Trait("needs", "root")]
[Trait("Turn", "2")]
public sealed class OperatorTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const string Cluster = "operator";
    private Servers servers = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        servers = await Servers.StartAsync(Cluster);
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
    }

    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Trait("Stage", "long")]
    [Fact]
    public async Task Preflight_LooksAtEveryNodeOfTheRunningCluster()
    {
        var took = Stopwatch.StartNew();
        var whole = PreflightTests.Read(await LookAsync());
        output.WriteLine($"a preflight of three nodes took {took.Elapsed.TotalSeconds:0.0} s");
        Assert.Equal(["n1", "n2", "n3"], whole.GetProperty("nodes").EnumerateArray().Select(node => node.GetString()));
        Assert.DoesNotContain(PreflightTests.Findings(whole), finding => finding is { Verdict: "Failed", Accepted: false });
        foreach (var node in new[] { "n1", "n2", "n3" })
        {
            PreflightTests.Expect(whole, "Passed", "address-conflict", "(front) is", node);
            PreflightTests.Expect(whole, "Passed", "certificates", "the node's certificate is good for", node);
            Assert.Equal(2, PreflightTests.Findings(whole).Count(finding => finding is { Check: "reachable", Verdict: "Passed" } && finding.Node == node));
        }
        foreach (var other in new[] { "n2", "n3" })
        {
            PreflightTests.Expect(whole, "Passed", "clock-offset", $"{other}'s clock is 0", other);
            PreflightTests.Expect(whole, "Passed", "clock-rate", "leases allow 1 %", other);
        }

        // A stranger takes the address while its owner has it; a node is gone; a certificate's key lies open.
        await SystemCommand.RunAsync(["ip", "-n", servers.Namespace("client"), "address", "add", "203.0.113.10/24", "dev", "pub0"], Token);
        File.SetUnixFileMode(Path.Combine(servers.State("n2"), "tls", NodeCertificate.KeyFile), UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        servers.KillAgent("n3");
        var faulty = PreflightTests.Read(await LookAsync(), failed: true);
        PreflightTests.Expect(faulty, "Failed", "address-conflict", "no node of this cluster");
        PreflightTests.Expect(faulty, "Failed", "certificates", "may be read by others", "n2");
        PreflightTests.Expect(faulty, "Failed", "asked", "n3 was not looked at");
        PreflightTests.Expect(faulty, "Failed", "reachable", "n3 at 10.77.0.13 refuses TCP 7801", "n1");
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task LogLevel_ChangesWhileItRuns_GoesBackByItself_AndIsOnTheAuditTrail()
    {
        var socket = LocalPaths.ControlSocket(Cluster, "n1");
        Assert.DoesNotContain("loop debug:", servers.Log("n1"), StringComparison.Ordinal);
        Servers.Expect(0, await servers.RunAsync("n1", "log-level", "loop", "trace", "--for", "3s", "--cluster", socket), "loop is at trace until");
        await servers.SaysAsync("n1", "loop trace: in BeatReceived");
        Servers.Expect(0, await servers.RunAsync("n1", "log-level", "--cluster", socket), "loop      trace        until", "store     information");
        await servers.SaysAsync("n1", "log level of loop: trace has ended, information again");
        Servers.Expect(0, await servers.RunAsync("n1", "log-level", "control", "debug", "--cluster", socket));
        Servers.Expect(0, await servers.RunAsync("n1", "status", "--cluster", socket));
        await servers.SaysAsync("n1", "control debug: GET /v1/status 200");
        Servers.Expect(0, await servers.RunAsync("n1", "log-level", "all", "--reset", "--cluster", socket), "every category is at information again");
        Servers.Expect(0, await servers.RunAsync("n1", "audit", "--cluster", socket), "log-levels loop trace for 00:00:03", "log-levels every category reset");
        Servers.Expect(ExitCode.Usage, await servers.RunAsync("n1", "log-level", "lop", "debug", "--cluster", socket), "there is no category 'lop'", "loop");
        Servers.Expect(ExitCode.Usage, await servers.RunAsync("n1", "log-level", "loop", "loud", "--cluster", socket), "'loud' is no level");
        Servers.Expect(ExitCode.Refused, await servers.RunAsync("n1", "log-level", "loop", "debug", "--for", "30d", "--cluster", socket), "at most 7 days");
    }

    [Fact]
    public async Task GuardRestart_MovesWhatItHoldsFirst_AndNoRequestFails()
    {
        var owner = await servers.OwnerAsync();
        var socket = LocalPaths.ControlSocket(Cluster, owner);
        var before = await GuardAsync(owner);
        var (_, refused) = await servers.RunProgramAsync(owner, "curl", "-s", "-X", "POST", "--unix-socket", socket, "http://evenkeel/v1/guard/restart");
        Assert.Contains("still has service/web, vip/front", refused, StringComparison.Ordinal);
        Assert.Equal(before, await GuardAsync(owner));

        await servers.ServesAsync();
        using var observer = await servers.ObserveAsync(Servers.Patient);
        var took = Stopwatch.StartNew();
        Servers.Expect(0, await servers.RunAsync(owner, "guard", "restart", "--cluster", socket), $"{owner} has a new guard, and may own things again");
        output.WriteLine($"a guard's restart took {took.Elapsed.TotalSeconds:0.0} s");
        await servers.WholeAsync();
        var seen = await observer.EndAsync();
        output.WriteLine($"{seen.Requests.Count} requests, {seen.Failed.Count} failed, slowest {seen.Requests.Max(one => one.Took):F0} ms");
        Assert.True(seen.Failed.Count == 0, servers.Evidence(seen));
        Assert.NotEqual(before, await GuardAsync(owner));
        Assert.NotEqual(owner, await servers.OwnerAsync());
        Servers.Expect(0, await servers.RunAsync(owner, "audit", "--cluster", socket), "guard/restart: done", "guard/restart: refused");

        // Where there is nobody to take it, it stays, and so does the guard.
        foreach (var other in new[] { "n1", "n2", "n3" }.Where(other => other != owner)) servers.StopAgent(other);
        await servers.UntilAsync(ExitCode.Refused, owner, ["guard", "restart", "--cluster", socket], "is the last node that can serve");
    }

    private Task<int> GuardAsync(string node) => RunningPrograms.OneInAsync(servers.Namespace(node), RunningPrograms.IsGuard, "guard");

    private Task<(int Code, string Output)> LookAsync() => servers.RunProgramAsync("n1", "sh", "-c", "exec \"$0\" preflight --cluster \"$1\" --output json --accept disk 2>/dev/null", Checkout.Program, LocalPaths.ControlSocket(Cluster, "n1"));
}
