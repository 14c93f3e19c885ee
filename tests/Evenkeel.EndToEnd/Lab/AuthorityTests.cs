using System.Diagnostics;
using System.Text.Json;
using Evenkeel.Agent.Local;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Another certificate authority takes the place of the present one, and another key that of the guards', while clients are served.</summary>
[Trait("needs", "root")]
[Trait("Stage", "long")]
public sealed class AuthorityTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly string[] all = ["n1", "n2", "n3"];
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("newca");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Rotate_ClientsAskAllTheWhile_NobodyNotices_AndTheOldAuthorityIsWorthNothing()
    {
        await servers.JoinAllAsync();
        await servers.SaysAsync("n3", "n3 votes");
        var before = await StatusAsync("n1");
        var old = Path.Combine(servers.Directory, "old");
        CopyCertificates("n2", old);
        Servers.Expect(4, await CaAsync("n2", "rotate"), "has not the key", "--lost-key");
        Servers.Expect(4, await CaAsync("n1", "rotate", "--lost-key", "--yes"), "the key is not lost");

        await servers.UndisturbedAsync(async () =>
        {
            var watch = Stopwatch.StartNew();
            Servers.Expect(0, await CaAsync("n1", "rotate"), "phase 1 of 3", "phase 2 of 3", "Done");
            output.WriteLine($"another authority after {watch.Elapsed.TotalSeconds:F1} s");
        });
        var after = await StatusAsync("n1");
        Assert.NotEqual(HashOf(before), HashOf(after));
        Assert.All(all, node =>
        {
            using var certificate = NodeCertificate.Load(Path.Combine(servers.State(node), "tls"));
            Assert.Equal(HashOf(after), Assert.Single(certificate.Trusted));
            Assert.Equal(HashOf(after), certificate.Issuer);
        });
        Assert.False(Directory.Exists(Path.Combine(servers.State("n1"), "ca", "next")));
        using (var authority = CertificateAuthority.Load(Path.Combine(servers.State("n1"), "ca"))) Assert.Equal(HashOf(after), authority.Hash);

        // What the old authority has signed opens nothing any more: neither etcd nor an agent.
        Assert.NotEqual(0, (await EtcdAsync("n2", old)).Code);
        Servers.Expect(0, await EtcdAsync("n2", Path.Combine(servers.State("n2"), "tls")), "health");
        await servers.RunProgramAsync("n2", "curl", "-s", "-m", "3", "-k", "--cert", Path.Combine(old, "node.crt"), "--key", Path.Combine(old, "node.key"), "https://10.77.0.11:7805/v1/own/diagnostics");
        await servers.SaysAsync("n1", "its certificate 'CN=n2' is not accepted");

        // A server that joins now knows the new one, and the cluster survives a restart of everything.
        servers.StopAgent("n3");
        await servers.UntilAsync(0, "n1", ["remove", "n3", "--yes", "--cluster", Socket("n1")], "is revoked");
        Directory.Delete(servers.State("n3"), recursive: true);
        await servers.JoinAsync("n3", await servers.AskAsync("n1", "token", "n3", "--cluster", Socket("n1")));
        servers.StartAgent("n3");
        await servers.WholeAsync();
        await servers.SaysAsync("n3", "n3 votes, as one of 3");
        foreach (var node in all) servers.StopAgent(node);
        servers.StartAgents();
        await servers.WholeAsync();
        await servers.ServesAsync();
    }

    [Fact]
    public async Task Rotate_InterruptedInEachPhase_GoesOnWhereItWas()
    {
        await servers.JoinAllAsync();
        await servers.SaysAsync("n3", "n3 votes");
        var before = HashOf(await StatusAsync("n1"));
        // A node that is away holds it up, and is named.
        servers.StopAgent("n3");
        Servers.Expect(0, await CaAsync("n1", "rotate", "--step", "--no-wait"));
        await servers.UntilAsync(1, "n1", ["ca", "status", "--cluster", Socket("n1")], "phase 1 of 3", "n3: ", "does not trust the new authority yet");
        Servers.Expect(4, await CaAsync("n1", "rotate", "--step"), "has to wait", "n3 does not trust", "evenkeel remove");
        // Whoever drives it dies in the middle: what it had begun is ended by the next.
        await RestartAsync("n1");
        servers.StartAgent("n3");
        await PhaseDoneAsync("Trust");
        Servers.Expect(0, await CaAsync("n1", "rotate", "--step", "--no-wait"), "signs");
        await RestartAsync("n1");
        await RestartAsync("n2");
        await PhaseDoneAsync("Reissue");
        // From here by itself, with its driver killed once more.
        Servers.Expect(0, await CaAsync("n1", "rotate", "--no-wait"), "goes on by itself");
        await RestartAsync("n1");
        await servers.UntilAsync(0, "n1", ["ca", "status", "--cluster", Socket("n1")], "settled: one authority");
        var after = await StatusAsync("n1");
        Assert.NotEqual(before, HashOf(after));
        await servers.WholeAsync();
        await servers.ServesAsync();
        Servers.Expect(0, await servers.RunAsync("n1", "audit", "--cluster", Socket("n1")), "authority/rotation by one step: done", "authority/rotation by one step: refused", "authority/rotation: done", "renew n2: done", "renew n3: done");
    }

    [Fact]
    public async Task GuardKeys_Replaced_NoLeaseNotices_AndARemovedServerDoesNotKnowTheNewOne()
    {
        await servers.JoinAllAsync();
        await servers.SaysAsync("n3", "n3 votes");
        await servers.UntilAsync(0, "n1", ["ca", "status", "--cluster", Socket("n1"), "--output", "json"], "\"guardSeals\": 1");
        var key = 1;
        await servers.UndisturbedAsync(async () =>
        {
            Servers.Expect(0, await CaAsync("n1", "guard-keys"), "another key");
            await RingIsAsync(++key);
        });
        servers.StopAgent("n3");
        await servers.UntilAsync(0, "n1", ["remove", "n3", "--yes", "--cluster", Socket("n1")], "is revoked");
        // The one that remains of the guards' keys is none that n3 has ever seen.
        await RingIsAsync(key + 1, "n1", "n2");
        await servers.ServesAsync();
    }

    /// <summary>One key alone, and every guard has it and seals with it.</summary>
    private async Task RingIsAsync(int number, params string[] nodes)
    {
        for (var limit = Stopwatch.StartNew(); ; await Task.Delay(200, TestContext.Current.CancellationToken))
        {
            var status = await StatusAsync("n1");
            var guards = status.GetProperty("nodes").EnumerateArray().Where(node => nodes.Length == 0 || nodes.Contains(node.GetProperty("node").GetString()));
            if (Numbers(status) is [var only] && only == number && guards.All(guard => Numbers(guard) is [var its] && its == number && guard.GetProperty("guardSeals").GetInt32() == number)) return;
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(30), status.ToString());
        }
    }

    private static int[] Numbers(JsonElement of) => [.. of.GetProperty("guardKeys").EnumerateArray().Select(one => one.GetInt32())];

    /// <summary>Every node is through with the phase.</summary>
    private async Task PhaseDoneAsync(string phase)
    {
        for (var limit = Stopwatch.StartNew(); ; await Task.Delay(200, TestContext.Current.CancellationToken))
        {
            var status = await StatusAsync("n1");
            if (status.GetProperty("phase").GetString() == phase && status.GetProperty("nodes").EnumerateArray().All(node => node.GetProperty("waits").ValueKind == JsonValueKind.Null)) return;
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(60), status.ToString());
        }
    }

    private async Task RestartAsync(string node)
    {
        var said = servers.Log(node).Length;
        servers.KillAgent(node);
        servers.StartAgent(node);
        for (var limit = Stopwatch.StartNew(); !servers.Log(node)[said..].Contains("is up", StringComparison.Ordinal); await Task.Delay(20, TestContext.Current.CancellationToken))
            Assert.True(limit.Elapsed < TimeSpan.FromSeconds(30), servers.Log(node));
    }

    private static string Socket(string node) => LocalPaths.ControlSocket("newca", node);
    private Task<(int Code, string Output)> CaAsync(string node, params string[] words) => servers.RunAsync(node, ["ca", .. words, "--cluster", Socket(node)]);

    private async Task<JsonElement> StatusAsync(string node)
    {
        // Exit code 1 while something is under way: the document is the same.
        var told = await servers.RunProgramAsync(node, "sh", "-c", "\"$0\" ca status --output json --cluster \"$1\" 2>/dev/null; true", Checkout.Program, Socket(node));
        return JsonDocument.Parse(told.Output).RootElement;
    }

    private static string HashOf(JsonElement status) => Assert.Single(status.GetProperty("authorities").EnumerateArray()).GetProperty("hash").GetString()!;

    private void CopyCertificates(string node, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var file in (string[])["ca.crt", "node.crt", "node.key"]) File.Copy(Path.Combine(servers.State(node), "tls", file), Path.Combine(to, file));
    }

    private Task<(int Code, string Output)> EtcdAsync(string from, string tls) => servers.RunProgramAsync(from, "curl", "-s", "-f", "-m", "5", "-k",
        "--cert", Path.Combine(tls, "node.crt"), "--key", Path.Combine(tls, "node.key"), "https://10.77.0.11:2379/health");
}
