using System.Diagnostics;
using System.Globalization;
using System.Net;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Certificates that end: they are renewed before, and when nobody can renew them any more there is a way back.</summary>
[Trait("needs", "root")]
[Trait("Stage", "long")]
public sealed class CertificateTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly string[] all = ["n1", "n2", "n3"];
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("renewal");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Certificates_AboutToEnd_AreRenewedByTheirCluster_AndNothingNotices()
    {
        await servers.InitAllAsync();
        // So short a life that it ends during the test; the last third is when they are renewed.
        var ends = DateTimeOffset.UtcNow.AddSeconds(60);
        var serials = all.ToDictionary(node => node, node => Issue(node, ends));
        servers.StartAgents();
        await servers.WholeAsync();
        await servers.UndisturbedAsync(async () =>
        {
            foreach (var node in all) await servers.SaysAsync(node, $"the certificate of {node} was renewed");
            var least = Stopwatch.StartNew();
            while (DateTimeOffset.UtcNow < ends.AddSeconds(2) || least.Elapsed < TimeSpan.FromSeconds(3)) await Task.Delay(100, TestContext.Current.CancellationToken);
        });
        foreach (var node in all)
        {
            // On the wire, at each door of the private connection, without a restart of anything.
            foreach (var port in (int[])[2379, 2380, 7801, 7805])
                Assert.NotEqual(serials[node], await SerialAtAsync(node, port));
            Assert.DoesNotContain("etcd ended", servers.Log(node), StringComparison.Ordinal);
        }

        // New connections too, of agents and of etcd, after the old ones have ended for good.
        servers.KillAgent("n2");
        servers.StartAgent("n2");
        Signals.Send(int.Parse(File.ReadAllText(Path.Combine(servers.State("n3"), "etcd.pid")), CultureInfo.InvariantCulture), Signals.Kill);
        await servers.SaysAsync("n3", "etcd ended");
        await servers.WholeAsync();
        await servers.ServesAsync();
        await servers.UntilAsync(0, "n1", ["ca", "status", "--cluster", LocalPaths.ControlSocket("renewal", "n1")], "settled");
        Servers.Expect(0, await servers.RunAsync("n1", "audit", "--cluster", LocalPaths.ControlSocket("renewal", "n1")), "renew n1: done", "renew n2: done", "renew n3: done");
        // Who is taken out loses the certificates of before too, though they were not revoked when they were renewed.
        servers.StopAgent("n3");
        await servers.UntilAsync(0, "n1", ["remove", "n3", "--yes", "--cluster", LocalPaths.ControlSocket("renewal", "n1")], "is revoked");
    }

    [Fact]
    public async Task PrivateSide_WithACertificateThatEnded_WasRevokedOrIsForeign_GetsNothing_AndIsNamedInTheLogAndOnTheTrail()
    {
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        var bad = new Dictionary<string, (string Directory, string[] Reasons)>
        {
            ["ended"] = (Path.Combine(servers.Directory, "ended"), ["expired", "not within its validity period"]),
            ["revoked"] = (Path.Combine(servers.Directory, "revoked"), ["its certificate was revoked"]),
            ["foreign"] = (Path.Combine(servers.Directory, "foreign"), ["'CN=n3' is not accepted"]),
        };
        using (var authority = CertificateAuthority.Load(Path.Combine(servers.State("n1"), "ca"))) authority.IssueNode(new NodeName("n3"), [IPAddress.Parse("10.77.0.13")], bad["ended"].Directory, DateTimeOffset.UtcNow.AddSeconds(-5));
        using (var other = CertificateAuthority.Create("renewal")) other.IssueNode(new NodeName("n3"), [IPAddress.Parse("10.77.0.13")], bad["foreign"].Directory);
        // A node has one certificate: when its agent comes back with another, the one before is revoked.
        Directory.CreateDirectory(bad["revoked"].Directory);
        foreach (var file in (string[])["ca.crt", "node.crt", "node.key"]) File.Copy(Path.Combine(servers.State("n3"), "tls", file), Path.Combine(bad["revoked"].Directory, file));
        servers.StopAgent("n3");
        Issue("n3", DateTimeOffset.UtcNow.AddDays(300));
        servers.StartAgent("n3");
        await servers.SaysAsync("n1", "the certificate of n3 is revoked");
        await servers.WholeAsync();

        foreach (var (directory, _) in bad.Values)
            foreach (var port in (int[])[2379, 2380, 7801, 7805])
            {
                var told = await SayAsync(port, directory);
                Assert.DoesNotContain("HTTP/1", told, StringComparison.Ordinal);
                Assert.False(told.Contains(NotEnded, StringComparison.Ordinal), $"port {port} did not end the connection: {told}");
            }
        // It is not the question that they do not answer.
        foreach (var port in (int[])[2379, 2380, 7805])
            Assert.Contains("HTTP/1", await SayAsync(port, Path.Combine(servers.State("n3"), "tls")), StringComparison.Ordinal);

        foreach (var (_, reasons) in bad.Values)
            Assert.True(reasons.Any(reason => servers.Log("n1").Contains(reason, StringComparison.Ordinal)), $"{reasons[0]} is not in the log:\n{servers.Log("n1")}");
        await servers.UntilAsync(0, "n1", ["audit", "--cluster", Socket("n1"), "-n", "1000"], "10.77.0.13", "connect to the private connection: refused", "connect to etcd: refused");
        var trail = await servers.AskAsync("n1", "audit", "--cluster", Socket("n1"), "-n", "1000");
        foreach (var (_, reasons) in bad.Values) Assert.True(reasons.Any(reason => trail.Contains(reason, StringComparison.Ordinal)), $"{reasons[0]} is not on the trail:\n{trail}");
        await servers.WholeAsync();
    }

    private const string NotEnded = "ended by 124"; // timeout(1)

    /// <summary>What n1 says to n3, with the certificate of the directory, before it ends the connection.</summary>
    private async Task<string> SayAsync(int port, string tls) => (await servers.RunProgramAsync("n3", "sh", "-c",
        "(printf 'GET /v1/own/diagnostics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'; sleep 1) | timeout 4 openssl s_client -connect 10.77.0.11:$0 -quiet -cert \"$1/node.crt\" -key \"$1/node.key\" 2>&1; echo ended by $?",
        port.ToString(CultureInfo.InvariantCulture), tls)).Output;

    [Fact]
    public async Task AuthorityKey_Lost_AnotherNodeMakesTheNextOne_WhileEverythingRuns()
    {
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        Directory.Delete(Path.Combine(servers.State("n1"), "ca"), recursive: true);
        Servers.Expect(4, await CaAsync("n1", "rotate"), "has not the key", "--lost-key");
        Servers.Expect(4, await servers.RunAsync("n1", "token", "n2", "--cluster", Socket("n1")), "has not the key");
        Servers.Expect(4, await CaAsync("n2", "rotate", "--lost-key"), "--yes");
        var begun = Stopwatch.StartNew();
        await servers.UndisturbedAsync(async () => Servers.Expect(0, await CaAsync("n2", File.Exists(Path.Combine(servers.State("n2"), "ca", "ca.key")) ? ["rotate", "--yes"] : ["rotate", "--yes", "--lost-key"]), "Done"));
        output.WriteLine($"another authority, its predecessor's key lost, after {begun.Elapsed.TotalSeconds:F1} s");
        Assert.Contains("10.77.0.12", await servers.AskAsync("n2", "token", "n3", "--cluster", Socket("n2")), StringComparison.Ordinal);
        Assert.Contains("BEGIN CERTIFICATE", await servers.AskAsync("n3", "ca", "show", "--cluster", Socket("n3")), StringComparison.Ordinal);
        // A server of the new authority's: n3, whose disk is gone.
        servers.StopAgent("n3");
        Directory.Delete(servers.State("n3"), recursive: true);
        await servers.JoinAsync("n3", await UntilReplacedAsync("n2", "n3"));
        servers.StartAgent("n3");
        await servers.WholeAsync();
        await servers.SaysAsync("n3", "n3 votes, as one of 3");
    }

    [Fact]
    public async Task AuthorityKey_LostAndEveryCertificateEnded_IsMadeAnewByHand_AndEveryNodeComesBackWithItsData()
    {
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        Servers.Expect(0, await servers.RunAsync("n1", "drain", "n3", "--reason", "decided-before", "--cluster", Socket("n1")));
        Servers.Expect(4, await servers.RunAsync("n1", "ca", "recreate", "--yes", "--state", servers.State("n1")), "the agent of n1 runs");
        foreach (var node in all) servers.StopAgent(node);
        foreach (var node in all) Issue(node, DateTimeOffset.UtcNow.AddSeconds(-1));
        Directory.Delete(Path.Combine(servers.State("n1"), "ca"), recursive: true);
        foreach (var node in (string[])["n1", "n2"]) servers.StartAgent(node);
        await servers.SaysAsync("n2", "nobody renews it");
        foreach (var node in (string[])["n1", "n2"]) servers.StopAgent(node);

        var begun = Stopwatch.StartNew();
        Servers.Expect(0, await servers.RunAsync("n1", "ca", "recreate", "--yes", "--state", servers.State("n1")), "The new authority is sha256:", "--renew");
        servers.StartAgent("n1");
        foreach (var node in (string[])["n2", "n3"])
        {
            string token = "";
            for (var limit = Stopwatch.StartNew(); token.Length == 0; await Task.Delay(100, TestContext.Current.CancellationToken))
            {
                var answer = await servers.RunProgramAsync("n1", "sh", "-c", "\"$0\" token \"$1\" --cluster \"$2\" 2>/dev/null; true", Checkout.Program, node, Socket("n1"));
                token = answer.Output.Trim();
                Assert.True(limit.Elapsed < TimeSpan.FromSeconds(30), servers.Log("n1"));
            }

            await servers.JoinAsync(node, token + " --renew");
            servers.StartAgent(node);
        }

        await servers.UntilAsync(1, "n1", ["status", "--cluster", Socket("n1"), "--output", "json"], "decided-before");
        await servers.UntilAsync(0, "n1", ["resume", "n3", "--cluster", Socket("n1")]);
        await servers.WholeAsync();
        output.WriteLine($"whole {begun.Elapsed.TotalSeconds:F1} s after a new authority was made by hand");
        await servers.ServesAsync();
    }

    private static string Socket(string node) => LocalPaths.ControlSocket("renewal", node);
    private Task<(int Code, string Output)> CaAsync(string node, params string[] words) => servers.RunAsync(node, ["ca", .. words, "--cluster", Socket(node)]);

    private async Task<string> UntilReplacedAsync(string where, string node)
    {
        for (var limit = Stopwatch.StartNew(); ; await Task.Delay(100, TestContext.Current.CancellationToken))
        {
            var answer = await servers.RunProgramAsync(where, "sh", "-c", "\"$0\" replace \"$1\" --yes --cluster \"$2\" 2>/dev/null; true", Checkout.Program, node, Socket(where));
            if (answer.Output.Contains("evenkeel join", StringComparison.Ordinal)) return answer.Output;
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(30), servers.Log(where));
        }
    }

    /// <returns>The serial number of the node's new certificate.</returns>
    private string Issue(string node, DateTimeOffset ends)
    {
        var tls = Path.Combine(servers.State(node), "tls");
        using var authority = CertificateAuthority.Load(Path.Combine(servers.State("n1"), "ca"));
        authority.IssueNode(new NodeName(node), [IPAddress.Parse($"10.77.0.1{node[1]}")], tls, ends);
        using var certificate = NodeCertificate.Load(tls);
        return certificate.Own.SerialNumber.TrimStart('0');
    }

    private async Task<string> SerialAtAsync(string node, int port)
    {
        var tls = Path.Combine(servers.State(node), "tls");
        var told = await servers.RunProgramAsync(node, "sh", "-c",
            "openssl s_client -connect \"$0\" -cert \"$1/node.crt\" -key \"$1/node.key\" </dev/null 2>/dev/null | openssl x509 -noout -serial", $"10.77.0.1{node[1]}:{port}", tls);
        Assert.Contains("serial=", told.Output, StringComparison.Ordinal);
        return told.Output.Trim()["serial=".Length..].TrimStart('0');
    }
}
