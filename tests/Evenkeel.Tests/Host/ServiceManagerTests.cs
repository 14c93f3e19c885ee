using System.Net.Sockets;
using System.Text;
using Evenkeel.Agent.Host;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>What a service manager hears, at a real socket.</summary>
public sealed class ServiceManagerTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("ek-notify-").FullName;
    private readonly Socket socket = new(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified) { ReceiveTimeout = 20_000 };
    private readonly List<string> said = [];

    [Theory, InlineData(false), InlineData(true)]
    public void Ready_IsHeard_AlsoByAnAbstractSocket(bool isAbstract)
    {
        var name = isAbstract ? "@ek-" + Guid.NewGuid() : Path.Combine(directory, "notify");
        socket.Bind(new UnixDomainSocketEndPoint(isAbstract ? "\0" + name[1..] : name));
        var manager = Manager(("NOTIFY_SOCKET", name));
        manager.Ready("node n1");
        Assert.Equal("READY=1\nSTATUS=node n1", Heard());
        manager.Stopping("bye");
        Assert.Equal("STOPPING=1\nSTATUS=bye", Heard());
    }

    [Fact]
    public async Task Watchdog_IsFedWhileTheLoopGoesRound()
    {
        var name = Path.Combine(directory, "notify");
        socket.Bind(new UnixDomainSocketEndPoint(name));
        using var stop = new CancellationTokenSource();
        using var hangs = new ManualResetEventSlim(true);
        var fed = Task.Run(() => Manager(("NOTIFY_SOCKET", name), ("WATCHDOG_USEC", "60000"), ("WATCHDOG_PID", "4711"))
            .FeedWatchdogAsync(() => hangs.Wait(TestContext.Current.CancellationToken), stop.Token), TestContext.Current.CancellationToken);
        for (var time = 0; time < 4; time++) Assert.Equal("WATCHDOG=1", Heard());
        hangs.Reset();
        // One may have left before it hung; then there is silence for three times the pause.
        socket.ReceiveTimeout = 200;
        Assert.Throws<SocketException>(() =>
        {
            for (var time = 0; time < 3; time++) Heard();
        });
        socket.ReceiveTimeout = 20_000;
        hangs.Set();
        Assert.Equal("WATCHDOG=1", Heard());
        await stop.CancelAsync();
        await fed;
    }

    [Theory]
    [InlineData("60000", "4712")]
    [InlineData("0", "4711")]
    [InlineData("soon", "4711")]
    public async Task Watchdog_OfAnotherProcess_OrNone_IsNotFed(string time, string process)
    {
        socket.Bind(new UnixDomainSocketEndPoint(Path.Combine(directory, "notify")));
        await Manager(("NOTIFY_SOCKET", Path.Combine(directory, "notify")), ("WATCHDOG_USEC", time), ("WATCHDOG_PID", process))
            .FeedWatchdogAsync(() => Assert.Fail("nobody asked"), TestContext.Current.CancellationToken);
        Assert.Equal(0, socket.Available);
    }

    [Fact]
    public void Ready_WhereNobodyAsks_OrNobodyListens_IsNoFailure()
    {
        Manager().Ready("x");
        Assert.Empty(said);
        Manager(("NOTIFY_SOCKET", Path.Combine(directory, "gone"))).Ready("x");
        Assert.Contains("READY=1", Assert.Single(said), StringComparison.Ordinal);
    }

    public void Dispose()
    {
        socket.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    private ServiceManager Manager(params (string Name, string Value)[] environment) =>
        new(name => environment.FirstOrDefault(pair => pair.Name == name).Value, 4711, said.Add);

    private string Heard()
    {
        var buffer = new byte[256];
        return Encoding.UTF8.GetString(buffer, 0, socket.Receive(buffer));
    }
}
