using Evenkeel.Agent.Local;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// State directories that are full, read-only or corrupt: the node says what is wrong and where, nothing is lost, and the
/// others serve on.
/// </summary>
[Trait("Turn", "3")]
public sealed class StateDirectoryTests : IAsyncLifetime
{
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("disks");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Theory]
    [InlineData("agent.json", "{ \"cluster\": \"di", "agent.json cannot be used")]
    [InlineData("tls/node.key", "-----BEGIN PRIVATE KEY-----\nspoilt", "certificate in")]
    [InlineData("tls/ca.crt", "", "certificate in")]
    public async Task Agent_CorruptFile_IsAConfigurationErrorThatNamesIt(string file, string contents, string words)
    {
        await servers.InitAllAsync();
        File.WriteAllText(Path.Combine(servers.State("n1"), file), contents);
        Servers.Expect(3, await servers.RunAsync("n1", "agent", "--configuration", Path.Combine(servers.State("n1"), "agent.json")), words, servers.State("n1"));
    }

    [Fact]
    public async Task Agent_ReadOnlyDisk_SaysSoAndServesNothingHalfway()
    {
        await servers.MountAsync("n1", "size=200m");
        await servers.InitAllAsync();
        await servers.RemountAsync("n1", "ro");
        Servers.Expect(1, await servers.RunAsync("n1", "agent", "--configuration", Path.Combine(servers.State("n1"), "agent.json")), "Read-only file system", servers.State("n1"));
    }

    [Fact]
    [Trait("Stage", "long")]
    public async Task DiskOfANode_FullWhileItRuns_ClientsNoticeNothingAndItHealsWithRoom()
    {
        await servers.MountAsync("n3", "size=600m");
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        await servers.UndisturbedAsync(FillAsync);
    }

    private async Task FillAsync()
    {
        var filler = Path.Combine(servers.Directory, "n3", "filler");
        var before = servers.Log("n3").Length;
        await SystemCommand.RunAsync(["sh", "-c", $"cat /dev/zero >{filler} 2>/dev/null || true"], TestContext.Current.CancellationToken);
        // Its events have no room now, once the page that they end in is full: something must be written to feel it.
        for (var round = 0; round < 60 && !Complained(); round++)
        {
            Servers.Expect(0, await servers.RunAsync("n1", round % 2 == 0 ? "drain" : "resume", "n3", "--cluster", "disks"));
        }

        Servers.Expect(0, await servers.RunAsync("n1", "resume", "n3", "--cluster", "disks"));
        Assert.True(Complained());
        File.Delete(filler);
        await servers.WholeAsync();

        bool Complained() => servers.Log("n3")[before..].Contains("events cannot be written", StringComparison.Ordinal);
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task StoreOfANode_CorruptAtStart_IsSaidAndTheOthersServe()
    {
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        servers.StopAgent("n3");
        foreach (var log in Directory.GetFiles(Path.Combine(servers.State("n3"), "etcd"), "*.wal", SearchOption.AllDirectories))
        {
            File.WriteAllText(log, "this is no log");
        }

        servers.StartAgent("n3");
        var limit = DateTime.UtcNow.AddSeconds(30);
        while (!servers.Log("n3").Contains("etcd ended", StringComparison.Ordinal) && DateTime.UtcNow < limit) await Task.Delay(100, TestContext.Current.CancellationToken);
        Assert.Contains("etcd ended", servers.Log("n3"), StringComparison.Ordinal);
        // The node itself serves, with the others' members; only the store has less to lose.
        (int Code, string Output) status;
        do status = await servers.StatusAsync();
        while ((!status.Output.Contains("10.77.0.13", StringComparison.Ordinal) || !status.Output.Contains("3 of 3", StringComparison.Ordinal)) && DateTime.UtcNow < limit);
        Servers.Expect(1, status, "no answer from etcd at 10.77.0.13", "3 of 3");
    }
}
