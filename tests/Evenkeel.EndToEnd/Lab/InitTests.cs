using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Servers become a cluster by <c>init</c> alone. What must be refused leaves nothing behind.</summary>
[Trait("Machine", "shared")]
public sealed class InitTests : IAsyncLifetime
{
    private Servers servers = null!;

    public async ValueTask InitializeAsync() => servers = await Servers.StartAsync("setup");
    public ValueTask DisposeAsync() => servers.DisposeAsync();

    [Fact]
    public async Task Init_OnThreeServers_MakesAClusterThatServesAtItsVip()
    {
        await servers.InitAllAsync();
        Assert.All(Directory.GetFiles(servers.Directory, "*.key", SearchOption.AllDirectories).Concat(Directory.GetFiles(servers.Directory, "*.bundle", SearchOption.AllDirectories)),
            secret => Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(secret)));
        servers.StartAgents();
        await servers.WholeAsync();
        await servers.ServesAsync();
    }

    [Fact]
    public async Task Init_OnTheWrongServer_IsRefusedAndWritesNothing()
    {
        Servers.Expect(4, await servers.RunAsync("n2", "init", servers.ClusterFilePath, "--node", "n1", "--state", servers.State("n1")), "private address 10.77.0.11");
        Assert.False(Directory.Exists(servers.State("n1")));
    }

    [Fact]
    public async Task Init_NodeNotInTheFile_IsRefusedAndNamesThoseThatAre() =>
        Servers.Expect(4, await servers.RunAsync("n2", "init", servers.ClusterFilePath, "--node", "n9", "--state", servers.State("n9")), "no node 'n9'", "n1, n2, n3");

    [Fact]
    public async Task Init_Twice_IsRefusedAndKeepsTheAuthority()
    {
        Servers.Expect(0, await servers.RunAsync("n1", "init", servers.ClusterFilePath, "--node", "n1", "--state", servers.State("n1")));
        var authority = Path.Combine(servers.State("n1"), "ca", "ca.crt");
        var before = File.ReadAllText(authority);
        Servers.Expect(4, await servers.RunAsync("n1", "init", servers.ClusterFilePath, "--node", "n1", "--state", servers.State("n1")), "state directory already");
        Assert.Equal(before, File.ReadAllText(authority));
    }

    [Theory, InlineData("cut", 4), InlineData("garbage", 4), InlineData("missing", 1)]
    public async Task Init_SpoiltBundle_IsRefusedAndWritesNothing(string how, int code)
    {
        Servers.Expect(0, await servers.RunAsync("n1", "init", servers.ClusterFilePath, "--node", "n1", "--bundles", "--state", servers.State("n1")));
        var bundle = Path.Combine(servers.State("n1"), "bundles", "n2.bundle");
        var bytes = File.ReadAllBytes(bundle);
        if (how == "cut") File.WriteAllBytes(bundle, bytes[..(bytes.Length / 3)]);
        if (how == "garbage") File.WriteAllText(bundle, "not a bundle");
        if (how == "missing") File.Delete(bundle);
        Servers.Expect(code, await servers.RunAsync("n2", "init", "--bundle", bundle, "--state", servers.State("n2")), "n2.bundle");
        Assert.False(Directory.Exists(servers.State("n2")));
    }

    [Theory]
    [InlineData("ro", "Read-only file system")]
    [InlineData("size=8k", "No space left on device")]
    public async Task Init_DiskThatCannotBeWritten_SaysSoAndMakesNoNode(string disk, string words)
    {
        await servers.MountAsync("n1", disk);
        Servers.Expect(1, await servers.RunAsync("n1", "init", servers.ClusterFilePath, "--node", "n1", "--state", servers.State("n1")), words);
        Assert.False(File.Exists(Path.Combine(servers.State("n1"), "agent.json")));
    }
}
