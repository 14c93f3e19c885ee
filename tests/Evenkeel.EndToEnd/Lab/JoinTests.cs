using System.Diagnostics;
using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Bare servers become a cluster by <c>init</c>, <c>token</c> and <c>join</c>, with nothing carried between them but a line.</summary>
[Trait("Machine", "shared")]
public sealed class JoinTests(ITestOutputHelper output) : IAsyncLifetime
{
    // The servers share a file system, and with it the directory of their agents' sockets.
    private static readonly string First = LocalPaths.ControlSocket("enrol", "n1");
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("enrol");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Join_ByToken_MakesAClusterThatServes_AndNothingElseGetsIn()
    {
        Servers.Expect(0, await servers.RunAsync("n1", "init", servers.ClusterFilePath, "--node", "n1", "--state", servers.State("n1")), "evenkeel token n2");
        Assert.Empty(Directory.GetFiles(servers.State("n1"), "*.bundle", SearchOption.AllDirectories));
        // Alone it has no majority, and enrols all the same.
        servers.StartAgent("n1");
        await servers.SaysAsync("n1", "is up");

        Servers.Expect(2, await servers.RunAsync("n1", "token", "n9", "--cluster", First), "no node 'n9'", "n1, n2, n3");
        var line = await LineAsync("n2");
        Servers.Expect(4, await JoinAsync("n3", line), "10.77.0.12");
        Servers.Expect(4, await JoinAsync("n2", line), "refused");
        await servers.SaysAsync("n1", "used before");
        Assert.False(Directory.Exists(servers.State("n2")));

        var begun = Stopwatch.StartNew();
        foreach (var node in new[] { "n2", "n3" })
        {
            line = await LineAsync(node);
            string[] foreign = [.. line[..^1], line[^1][..^4] + (line[^1].EndsWith("0000", StringComparison.Ordinal) ? "1111" : "0000")];
            Servers.Expect(4, await JoinAsync(node, foreign), "another cluster");
            Servers.Expect(0, await JoinAsync(node, line), $"This server is {node}");
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(servers.State(node), "tls", "node.key")));
            servers.StartAgent(node);
        }

        await servers.WholeAsync();
        output.WriteLine($"two servers joined, and the cluster is whole after {begun.Elapsed.TotalSeconds:F1} s");
        await servers.ServesAsync();
        Servers.Expect(0, await servers.RunAsync("n1", "audit", "--cluster", First), "enrol n2: done", "enrol n3: done", "enrol n2: refused", "10.77.0.12");

        // The enrolment port is on the private connection alone, and who has no token learns the authority's certificate and no more.
        Assert.NotEqual(0, (await servers.RunProgramAsync("client", "curl", "-sk", "-m", "3", "https://203.0.113.11:7806/v1/authority")).Code);
        Servers.Expect(0, await servers.RunProgramAsync("n2", "curl", "-sk", "-m", "5", "https://10.77.0.11:7806/v1/authority"), "BEGIN CERTIFICATE");
        Servers.Expect(0, await servers.RunProgramAsync("n2", "curl", "-sk", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", "-d", "{}", "https://10.77.0.11:7806/v1/enrol"), "403");
    }

    /// <summary>What <c>token</c> prints for a server, as words after the program's name.</summary>
    private async Task<string[]> LineAsync(string node) => [.. (await servers.AskAsync("n1", "token", node, "--cluster", First)).Trim().Split(' ').Skip(1)];

    private Task<(int Code, string Output)> JoinAsync(string where, string[] line) => servers.RunAsync(where, [.. line, "--state", servers.State(where)]);
}
