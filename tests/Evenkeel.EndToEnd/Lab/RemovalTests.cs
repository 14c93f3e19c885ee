using System.Text.Json;
using Evenkeel.Agent.Local;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>A node is taken out by <c>remove</c>, and a new server takes its name by <c>replace</c>.</summary>
public sealed class RemovalTests(ITestOutputHelper output) : IAsyncLifetime
{
    private static readonly string First = LocalPaths.ControlSocket("leave", "n1");
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("leave");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Trait("Stage", "long")]
    [Fact]
    public async Task Remove_TakesTheMemberAndTheCertificate_AndReplace_LetsANewServerIn()
    {
        await servers.JoinAllAsync();
        string[] remove = ["remove", "n2", "--yes", "--cluster", First];
        Servers.Expect(4, await servers.RunAsync("n1", "remove", "n2", "--cluster", First), "--yes");
        Servers.Expect(4, await servers.RunAsync("n1", remove), "n2 lives");
        Servers.Expect(4, await servers.RunAsync("n1", "remove", "n1", "--yes", "--cluster", First), "cannot remove itself");
        Servers.Expect(2, await servers.RunAsync("n1", "remove", "n9", "--yes", "--cluster", First), "no node 'n9'");
        Servers.Expect(0, await servers.RunProgramAsync("n2", "curl", EtcdOf("10.77.0.11")), "health");

        // n2's etcd lives without its agent and is needed as long as n3 is away.
        servers.StopAgent("n3");
        servers.KillAgent("n2");
        await servers.UntilAsync(4, "n1", remove, "lose its majority", "Bring back n3");
        servers.StartAgent("n3");
        await servers.UntilAsync(0, "n1", remove, "its certificate", "is revoked");
        Servers.Expect(4, await servers.RunAsync("n1", remove), "nothing is to be removed");

        // A token that somebody else was quicker to use: what it gave them counts no more, though no node has ever told of it.
        var token = (await servers.AskAsync("n1", "token", "n2", "--cluster", First)).Split("--token ")[1].Split(' ')[0].Trim();
        await EnrolAsync(token);
        await servers.UntilAsync(0, "n1", remove, "never used by a node is revoked");
        await servers.SaysAsync("n3", "the certificate of n2 is revoked");
        Servers.Expect(4, await servers.RunAsync("n1", remove), "nothing is to be removed");

        // What the old server has opens no door any more.
        Assert.NotEqual(0, (await servers.RunProgramAsync("n2", "curl", EtcdOf("10.77.0.11"))).Code);
        servers.StartAgent("n2");
        await servers.SaysAsync("n1", "its certificate was revoked when n2 was removed");
        await servers.SaysAsync("n3", "the certificate of n2 is revoked");
        servers.StopAgent("n2");
        Directory.Delete(servers.State("n2"), recursive: true);

        var begun = System.Diagnostics.Stopwatch.StartNew();
        await servers.JoinAsync("n2", await servers.AskAsync("n1", "replace", "n2", "--yes", "--cluster", First));
        servers.StartAgent("n2");
        await servers.WholeAsync();
        output.WriteLine($"the new n2 is in and the cluster whole after {begun.Elapsed.TotalSeconds:F1} s");
        await servers.SaysAsync("n2", "n2 votes, as one of 3");
        Servers.Expect(0, await servers.RunAsync("n1", "audit", "--cluster", First), "nodes/n2/remove: done", "nodes/n2/remove: refused", "nodes/n2/replace: done");
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task Join_EtcdDataLost_NeverBeginsAnotherCluster_AndComesBackWhenTheOperatorSaysSo()
    {
        await servers.JoinAllAsync();
        await servers.SaysAsync("n3", "n3 votes");
        servers.StopAgent("n1");
        // The founder itself: what it began runs on without it.
        Directory.Delete(Path.Combine(servers.State("n1"), "etcd"), recursive: true);
        servers.StartAgent("n1");
        await servers.SaysAsync("n1", "evenkeel recover --rejoin");
        await servers.UntilAsync(1, "n1", ["status", "--cluster", First], "etcd does not run on n1");
        servers.StopAgent("n1");
        Servers.Expect(0, await servers.RunAsync("n1", "recover", "--rejoin", "--yes", "--state", servers.State("n1")));
        servers.StartAgent("n1");
        await servers.SaysAsync("n1", "n1 votes, as one of 3");
        await servers.WholeAsync();
    }

    private async Task EnrolAsync(string token)
    {
        using var request = new NodeRequest();
        var body = JsonSerializer.Serialize(new { node = "n2", token, request = request.ToPem() });
        Assert.Contains("BEGIN CERTIFICATE", (await servers.RunProgramAsync("n2", "curl", ["-sk", "-m", "5", "-d", body, "https://10.77.0.11:7806/v1/enrol"])).Output, StringComparison.Ordinal);
    }

    private string[] EtcdOf(string address)
    {
        var tls = Path.Combine(servers.State("n2"), "tls");
        return ["-sf", "-m", "5", "--cacert", Path.Combine(tls, "ca.crt"), "--cert", Path.Combine(tls, "node.crt"), "--key", Path.Combine(tls, "node.key"), $"https://{address}:2379/health"];
    }
}
