using System.Text.Json;
using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The majority of the voting nodes is lost for good, and the cluster comes back from one of them, or from a snapshot.</summary>
public sealed class RecoveryTests(ITestOutputHelper output) : IAsyncLifetime
{
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("rescue");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Recover_FromTheLastMember_KeepsEverything_AndTheOthersComeBackAsNewMembers()
    {
        await servers.JoinAllAsync();
        Servers.Expect(4, await RecoverAsync("n1", "--last-member", "--others-are-off", "--yes"), "runs", "systemctl stop");
        Servers.Expect(0, await servers.RunAsync("n1", "drain", "n3", "--reason", "decided-last", "--cluster", SocketOf("n1")));
        StopAll();
        Directory.Delete(servers.State("n2"), recursive: true);
        var before = Contents("n1");
        Servers.Expect(4, await RecoverAsync("n1", "--last-member", "--yes"), "--others-are-off");
        Servers.Expect(4, await RecoverAsync("n1", "--last-member", "--others-are-off"), "--yes");
        Assert.Equal(before, Contents("n1"));

        var begun = System.Diagnostics.Stopwatch.StartNew();
        Servers.Expect(0, await RecoverAsync("n1", "--last-member", "--others-are-off", "--yes"), "incarnation 2", "etcd.before-");
        output.WriteLine($"recovered from the last member in {begun.Elapsed.TotalSeconds:F1} s");
        servers.StartAgent("n1");
        await servers.UntilAsync(1, "n1", ["status", "--cluster", SocketOf("n1"), "--output", "json"], "decided-last");
        Servers.Expect(0, await RecoverAsync("n3", "--rejoin", "--yes"));
        servers.StartAgent("n3");
        await servers.JoinAsync("n2", await servers.AskAsync("n1", "replace", "n2", "--yes", "--cluster", SocketOf("n1")));
        servers.StartAgent("n2");
        await servers.UntilAsync(0, "n1", ["resume", "n3", "--cluster", SocketOf("n1")]);
        await servers.WholeAsync();
        output.WriteLine($"and the cluster is whole after {begun.Elapsed.TotalSeconds:F1} s");
        await servers.ServesAsync();
    }

    [Fact]
    public async Task Recover_FromASnapshot_IsTheStateOfThen_AndEachTimeALaterIncarnation()
    {
        await servers.JoinAllAsync();
        var file = Path.Combine(servers.Directory, "state.db");
        Servers.Expect(0, await servers.RunAsync("n2", "state", "export", file, "--state", servers.State("n2")), file);
        Servers.Expect(4, await servers.RunAsync("n2", "state", "export", file, "--state", servers.State("n2")), "there already");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        await servers.UntilAsync(0, "n2", ["state", "list", "--state", servers.State("n2"), "--output", "json"], ".db");
        using (var listed = JsonDocument.Parse(await servers.AskAsync("n2", "state", "list", "--state", servers.State("n2"), "--output", "json")))
        {
            var own = listed.RootElement[0];
            Assert.Equal(JsonValueKind.Null, own.GetProperty("problem").ValueKind);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(own.GetProperty("file").GetString()!));
        }

        Servers.Expect(0, await servers.RunAsync("n1", "drain", "n3", "--reason", "decided-later", "--cluster", SocketOf("n1")));
        StopAll();
        foreach (var lost in new[] { "n1", "n3" }) Directory.Delete(Path.Combine(servers.State(lost), "etcd"), recursive: true);

        var before = Contents("n2");
        var damaged = Path.Combine(servers.Directory, "damaged.db");
        var bytes = File.ReadAllBytes(file);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(damaged, bytes);
        Servers.Expect(4, await RecoverAsync("n2", "--from-snapshot", damaged, "--others-are-off", "--yes"), "damaged.db", "SHA-256");
        Servers.Expect(1, await RecoverAsync("n2", "--from-snapshot", Path.Combine(servers.Directory, "none.db"), "--others-are-off", "--yes"), "none.db");
        Assert.Equal(before, Contents("n2"));

        Servers.Expect(0, await RecoverAsync("n2", "--from-snapshot", file, "--others-are-off", "--yes"), "incarnation 2");
        Servers.Expect(0, await RecoverAsync("n2", "--from-snapshot", file, "--others-are-off", "--yes"), "incarnation 3");
        servers.StartAgent("n2");
        foreach (var other in new[] { "n1", "n3" })
        {
            Servers.Expect(0, await RecoverAsync(other, "--rejoin", "--yes"));
            servers.StartAgent(other);
        }

        // Nobody is drained: that was decided after the snapshot.
        await servers.WholeAsync();
        Assert.Contains("\"epoch\": \"3.", await servers.AskAsync("n2", "status", "--cluster", SocketOf("n2"), "--output", "json"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Import_OnABareMachine_WhenEveryServerIsLost_IsTheClusterOfTheExport()
    {
        await servers.JoinAllAsync();
        Servers.Expect(0, await servers.RunAsync("n1", "drain", "n3", "--reason", "in-the-export", "--cluster", SocketOf("n1")));
        var file = Path.Combine(servers.Directory, "n1.export");
        Servers.Expect(0, await servers.RunAsync("n1", "state", "export", file, "--all", "--state", servers.State("n1")), file);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        Servers.Expect(4, await ImportAsync("n1", file, "--others-are-off"), "is a node's state directory already");
        StopAll();
        foreach (var node in new[] { "n1", "n2", "n3" }) Directory.Delete(servers.State(node), recursive: true);

        Servers.Expect(2, await ImportAsync("n1", file), "--others-are-off");
        Servers.Expect(4, await ImportAsync("n2", file, "--others-are-off"), "10.77.0.11");
        var cut = Path.Combine(servers.Directory, "cut.export");
        File.WriteAllBytes(cut, File.ReadAllBytes(file)[..5000]);
        Servers.Expect(4, await ImportAsync("n1", cut, "--others-are-off"), "cut.export", "cut short");
        Assert.False(Directory.Exists(servers.State("n1")) || Directory.Exists(servers.State("n2")));

        var begun = System.Diagnostics.Stopwatch.StartNew();
        Servers.Expect(0, await ImportAsync("n1", file, "--others-are-off"), "This server is n1 of the cluster 'rescue' again", "incarnation 2");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(servers.State("n1"), "tls", "node.key")));
        servers.StartAgent("n1");
        await servers.UntilAsync(1, "n1", ["status", "--cluster", SocketOf("n1"), "--output", "json"], "in-the-export");
        foreach (var node in new[] { "n2", "n3" })
        {
            await servers.JoinAsync(node, await servers.AskAsync("n1", "token", node, "--cluster", SocketOf("n1")));
            servers.StartAgent(node);
        }

        await servers.UntilAsync(0, "n1", ["resume", "n3", "--cluster", SocketOf("n1")]);
        await servers.WholeAsync();
        output.WriteLine($"whole {begun.Elapsed.TotalSeconds:F1} s after three bare machines and one file");
        await servers.ServesAsync();

        // One machine alone lost: the same file brings it back to the others.
        servers.StopAgent("n1");
        Directory.Delete(servers.State("n1"), recursive: true);
        Servers.Expect(0, await ImportAsync("n1", file, "--rejoin"));
        servers.StartAgent("n1");
        await servers.SaysAsync("n1", "n1 votes, as one of 3");
        await servers.WholeAsync();
    }

    private Task<(int Code, string Output)> ImportAsync(string node, string file, params string[] words) => servers.RunAsync(node, ["state", "import", file, .. words, "--state", servers.State(node)]);

    private static string SocketOf(string node) => LocalPaths.ControlSocket("rescue", node);
    private Task<(int Code, string Output)> RecoverAsync(string node, params string[] words) => servers.RunAsync(node, ["recover", .. words, "--state", servers.State(node)]);

    private void StopAll()
    {
        foreach (var node in new[] { "n1", "n2", "n3" }) servers.StopAgent(node);
    }

    /// <summary>Every file of a node's store and its configuration, with what is in it.</summary>
    private Dictionary<string, string> Contents(string node) => Directory.GetFiles(servers.State(node), "*", SearchOption.AllDirectories)
        .Where(file => file.Contains("/etcd", StringComparison.Ordinal) || file.EndsWith("agent.json", StringComparison.Ordinal))
        .ToDictionary(file => file, file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file))));
}
