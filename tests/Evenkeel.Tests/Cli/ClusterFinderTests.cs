using System.Net.Sockets;
using Evenkeel.Cli;
using Evenkeel.Cli.Control;
using Xunit;

namespace Evenkeel.Tests.Cli;

public sealed class ClusterFinderTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    private Task<ControlClient> Find(string? wanted) => ClusterFinder.FindAsync(wanted, [_directory.Path, "/nonexistent"], TestContext.Current.CancellationToken);

    [Fact]
    public async Task Find_WithoutAName_TakesTheOnlyRunningCluster()
    {
        await using var host = await ControlHost.StartAsync(_directory.Path);
        using var client = await Find(null);
        Assert.Equal("shop", client.Hello.Cluster);
    }

    [Fact]
    public async Task Find_WithTwoClusters_NeedsTheName()
    {
        await using var shop = await ControlHost.StartAsync(_directory.Path);
        await using var store = await ControlHost.StartAsync(_directory.Path, new FakeControlPlane("store"));
        var failure = await Assert.ThrowsAsync<CommandFailedException>(() => Find(null));
        Assert.Equal((ExitCode.Usage, "several clusters run here: shop, store"), (failure.ExitCode, failure.Message));
        using var client = await Find("store");
        Assert.Equal("store", client.Hello.Cluster);
    }

    [Fact]
    public async Task Find_PastADeadAndAHungAgent_AsksAnotherNode()
    {
        await using var host = await ControlHost.StartAsync(_directory.Path, new FakeControlPlane("shop", "n3"));
        // A leftover that nobody listens on, and one that accepts and never answers (SIGSTOP).
        using (var dead = Listen("n1"))
            dead.Close();
        using var hung = Listen("n2");
        using var client = await Find("shop");
        Assert.Equal("n3", client.Hello.Node.Value);
    }

    [Fact]
    public async Task Find_WithNothingRunning_SaysWhereItLooked()
    {
        var failure = await Assert.ThrowsAsync<CommandFailedException>(() => Find(null));
        Assert.Equal(ExitCode.Failed, failure.ExitCode);
        Assert.Contains(_directory.Path, failure.Message, StringComparison.Ordinal);
    }

    private Socket Listen(string node)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(_directory.Path, "shop", node + ".sock")));
        socket.Listen();
        return socket;
    }
}
