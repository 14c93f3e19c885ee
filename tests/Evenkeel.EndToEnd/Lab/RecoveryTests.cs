using System.Text.Json;
using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>The majority of the voting nodes is lost for good, and the cluster comes back from one of them, or from a snapshot.</summary>
[Trait("Machine", "shared"), Trait("Turn", "2")]
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

    [Trait("Stage", "long")]
    [Fact]
    public async Task Recover_ThatFences_EndsTheOthersByTheirDevices_OrIsRefusedAndChangesNothing()
    {
        await FenceDevicesAsync();
        await servers.JoinAllAsync();
        // n3 is lost for good, and n2 runs on, without a majority.
        foreach (var node in new[] { "n3", "n1" }) servers.StopAgent(node);
        Directory.Delete(servers.State("n3"), recursive: true);
        var before = Contents("n1");
        var dead = Path.Combine(servers.Directory, "n2.dead");
        await File.WriteAllTextAsync(dead, "", TestContext.Current.CancellationToken);
        Servers.Expect(4, await RecoverAsync("n1", "--last-member", "--fence", "--yes"), "n2 is not surely off", "the switch is dead", "nothing was changed");
        Servers.Expect(4, await RecoverAsync("n1", "--last-member", "--others-are-off", "--yes"), "n2 is not off: it answers at 10.77.0.12");
        Assert.Equal(before, Contents("n1"));
        Assert.NotEmpty(await LabNetwork.ProcessesIn(servers.Namespace("n2")));

        File.Delete(dead);
        Servers.Expect(0, await RecoverAsync("n1", "--last-member", "--fence", "--yes"), "fence_lab says that n2 is off", "fence_lab says that n3 is off", "incarnation 2");
        Assert.Empty(await LabNetwork.ProcessesIn(servers.Namespace("n2")));
        servers.KillAgent("n2");
        servers.StartAgent("n1");
        Servers.Expect(0, await RecoverAsync("n2", "--rejoin", "--yes"));
        servers.StartAgent("n2");
        _ = await servers.OwnerAsync();
        await servers.ServesAsync();
    }

    [Trait("Stage", "long")]
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

    [Trait("Stage", "long")]
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

    /// <summary>Each node gets a fence device that ends every process of it, as a power switch does.</summary>
    private async Task FenceDevicesAsync()
    {
        var agent = Path.Combine(servers.Directory, "fence_lab");
        await File.WriteAllTextAsync(agent, $$"""
            #!/bin/sh
            while IFS='=' read -r key value; do [ "$key" = action ] && action=$value; [ "$key" = plug ] && plug=$value; [ "$key" = nodename ] && node=$value; done
            [ -e "{{servers.Directory}}/$node.dead" ] && { echo 'the switch is dead' >&2; exit 1; }
            pids=$(ip netns pids "$plug") || exit 1
            case "$action" in
              off) while [ -n "$pids" ]; do kill -9 $pids 2>/dev/null; sleep 0.05; pids=$(ip netns pids "$plug") || exit 1; done;;
              status) [ -n "$pids" ] || exit 2;;
            esac
            exit 0

            """);
        File.SetUnixFileMode(agent, (UnixFileMode)0b111_101_101);
        var source = await File.ReadAllTextAsync(servers.ClusterFilePath);
        foreach (var node in new[] { "n1", "n2", "n3" })
            source = System.Text.RegularExpressions.Regex.Replace(source, $@"^(  {node}: \{{.*) \}}$", $"$1, fence: {{ agent: {agent}, plug: {servers.Namespace(node)}, time_limit: 20s }} }}", System.Text.RegularExpressions.RegexOptions.Multiline);
        Assert.Equal(3, source.Split("fence:").Length - 1);
        await File.WriteAllTextAsync(servers.ClusterFilePath, source);
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
