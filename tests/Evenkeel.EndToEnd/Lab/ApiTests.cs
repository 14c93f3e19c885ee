using System.Diagnostics;
using System.Globalization;
using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The control API over TLS in a cluster of three: asked by curl and by the command line, from a machine that is no node; and nodes that leave.</summary>
[Trait("needs", "root")]
public sealed class ApiTests : IAsyncLifetime
{
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("doors");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Trait("Stage", "long")]
    [Fact]
    public async Task Api_WhenTheFileAsksForIt_IsServedToBearersOnThePrivateConnectionAlone()
    {
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        await File.AppendAllTextAsync(servers.ClusterFilePath, "\napi: {}\n", TestContext.Current.CancellationToken);
        Servers.Expect(0, await servers.RunAsync("n1", "apply", servers.ClusterFilePath, "--yes", "--cluster", Socket("n1")));
        foreach (var node in (string[])["n1", "n2", "n3"]) await servers.SaysAsync(node, "the control API is served over TLS at 10.77.0.1");
        var viewer = (await servers.AskAsync("n1", "api", "token", "create", "screen", "--role", "viewer", "--cluster", Socket("n1"))).Trim();
        var worker = (await servers.AskAsync("n1", "api", "token", "create", "deploy", "--role", "operator", "--cluster", Socket("n1"))).Trim();
        var authority = Path.Combine(servers.Directory, "ca.pem");
        await File.WriteAllTextAsync(authority, await servers.AskAsync("n1", "ca", "show", "--cluster", Socket("n1")), TestContext.Current.CancellationToken);

        // curl believes the server by the cluster's authority, and every node knows the token.
        foreach (var address in (string[])["10.77.0.11", "10.77.0.12", "10.77.0.13"])
        {
            Assert.Equal("200", await CurlAsync("n3", authority, viewer, address, "/v1/status"));
            Assert.Equal("401", await CurlAsync("n3", authority, "evk_wrong", address, "/v1/status"));
            Assert.Equal("403", await CurlAsync("n3", authority, viewer, address, "/v1/audit"));
        }

        // The command line, without a socket: a change by another node's API, named on that node's trail.
        (int, string) On(string token, params string[] words) => servers.RunProgramAsync("n3", "env", ["EVENKEEL_TOKEN=" + token, "EVENKEEL_CA=" + authority, Checkout.Program, .. words, "--cluster", "https://10.77.0.12:7807"]).GetAwaiter().GetResult();
        Servers.Expect(0, On(viewer, "status"), "n1", "n2", "n3");
        Servers.Expect(4, On(viewer, "drain", "n3"), "takes a token with the role operator");
        Servers.Expect(0, On(worker, "drain", "n3", "--reason", "by-api"), "n3 is draining");
        Servers.Expect(0, On(worker, "resume", "n3"));
        Servers.Expect(4, On("evk_wrong", "status"), "not (or no longer) good");
        Servers.Expect(0, await servers.RunAsync("n2", "audit", "--cluster", Socket("n2")), "token deploy (operator) from 10.77.0.13", "by-api", "connect to the control API: refused", "'screen' is of a viewer");

        // Not by the public side, whichever address is asked, with the best of tokens.
        foreach (var address in (string[])["203.0.113.10", "203.0.113.11", "10.77.0.11"])
            Assert.Equal("000", await CurlAsync("client", authority, worker, address, "/v1/status"));
        Servers.Expect(0, await servers.RunAsync("n1", "api", "token", "revoke", "screen", "--cluster", Socket("n1")));
        for (var limit = Stopwatch.StartNew(); await CurlAsync("n3", authority, viewer, "10.77.0.12", "/v1/status") != "401"; await Task.Delay(50, TestContext.Current.CancellationToken))
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(10));
        Assert.Contains("deploy", await servers.AskAsync("n1", "api", "token", "list", "--cluster", Socket("n1")), StringComparison.Ordinal);
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task Leave_InOrder_ClientsNoticeNothing_AndWhatWouldCostTheMajorityIsRefused()
    {
        await servers.JoinAllAsync();
        await servers.SaysAsync("n3", "n3 votes");
        Servers.Expect(4, await servers.RunAsync("n1", "leave", "--yes", "--cluster", Socket("n1")), "has the key of the certificate authority");
        servers.StopAgent("n2");
        await servers.UntilAsync(4, "n3", ["leave", "--yes", "--cluster", Socket("n3")], "lose their majority", "Bring back n2");
        Assert.True(File.Exists(Path.Combine(servers.State("n3"), "agent.json")));
        servers.StartAgent("n2");
        await servers.WholeAsync();
        Servers.Expect(4, await servers.RunAsync("n3", "leave", "--cluster", Socket("n3")), "--yes");
        // The one that has the virtual IP: it moves first.
        Servers.Expect(0, await servers.RunAsync("n1", "move", "vip/front", "n3", "--cluster", Socket("n1")));
        await servers.UntilAsync(0, "n1", ["explain", "web", "--cluster", Socket("n1")], "web");
        using (var observer = await servers.ObserveAsync(Servers.Patient))
        {
            Servers.Expect(0, await servers.RunAsync("n3", "leave", "--yes", "--cluster", Socket("n3")), "n3 has left", "certificate revoked");
            await servers.SaysAsync("n3", "what was this node's state is in");
            var seen = await observer.EndAsync();
            Assert.True(seen.Failed.Count == 0, string.Join("; ", seen.Failed.Select(one => $"{one.At.ToString(CultureInfo.InvariantCulture)} {one.Failure}")));
        }

        Assert.False(File.Exists(Path.Combine(servers.State("n3"), "agent.json")));
        var aside = Assert.Single(Directory.GetDirectories(servers.State("n3")));
        Assert.True(File.Exists(Path.Combine(aside, "agent.json")) && File.Exists(Path.Combine(aside, "audit.jsonl")));
        Servers.Expect(3, await servers.RunAsync("n3", "agent", "--configuration", Path.Combine(servers.State("n3"), "agent.json")), "Is this server a node yet?");
        // What it had is worth nothing, and the store is one of two that agree.
        var tls = Path.Combine(aside, "tls");
        Assert.NotEqual(0, (await servers.RunProgramAsync("n3", "curl", "-s", "-f", "-m", "5", "-k", "--cert", Path.Combine(tls, "node.crt"), "--key", Path.Combine(tls, "node.key"), "https://10.77.0.11:2379/health")).Code);
        await servers.ServesAsync();
        await servers.UntilAsync(4, "n2", ["leave", "--yes", "--cluster", Socket("n2")], "lose their majority");
        // Its name is free.
        await servers.JoinAsync("n3", await servers.AskAsync("n1", "token", "n3", "--cluster", Socket("n1")));
        servers.StartAgent("n3");
        await servers.UntilAsync(0, "n1", ["resume", "n3", "--cluster", Socket("n1")]);
        await servers.WholeAsync();
    }

    private static string Socket(string node) => LocalPaths.ControlSocket("doors", node);

    private async Task<string> CurlAsync(string where, string authority, string token, string address, string path) => (await servers.RunProgramAsync(where, "curl", "-s", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}",
        "--cacert", authority, "-H", "Authorization: Bearer " + token, $"https://{address}:7807{path}")).Output.Trim();
}
