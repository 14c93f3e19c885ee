using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Transport;
using Xunit;

namespace Evenkeel.Tests.Transport;

public sealed class TlsPeerTransportTests : IAsyncDisposable
{
    private static readonly NodeName s_n1 = new("n1"), s_n2 = new("n2");
    private readonly TestCluster _cluster = new();
    private readonly List<TlsPeerTransport> _transports = [];
    private readonly ConcurrentQueue<string> _log = new();

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        foreach (var transport in _transports)
        {
            await transport.DisposeAsync();
        }

        _cluster.Dispose();
    }

    private static PrivateEndpoint Free(string address = "127.0.0.1")
    {
        using var probe = new TcpListener(IPAddress.Parse(address), 0);
        probe.Start();
        return new PrivateEndpoint(IPAddress.Parse(address), ((IPEndPoint)probe.LocalEndpoint).Port);
    }

    private (TlsPeerTransport Transport, Channel<(NodeName From, string Text)> Inbox) Open(NodeCertificate certificate, params PrivateEndpoint[] own) => Open(certificate, 4, own);

    private (TlsPeerTransport Transport, Channel<(NodeName From, string Text)> Inbox) Open(NodeCertificate certificate, byte speaks, params PrivateEndpoint[] own)
    {
        var transport = new TlsPeerTransport(certificate, own, line => _log.Enqueue(line), speaks);
        var inbox = Channel.CreateUnbounded<(NodeName, string)>();
        transport.Received += (from, message) => inbox.Writer.TryWrite((from, Encoding.UTF8.GetString(message.Span)));
        transport.Start();
        _transports.Add(transport);
        return (transport, inbox);
    }

    private static void Peer(TlsPeerTransport transport, NodeName peer, params PrivateEndpoint[] links) =>
        transport.SetPeers(new Dictionary<NodeName, IReadOnlyList<PrivateEndpoint>> { [peer] = links });

    /// <summary>Beats until <paramref name="enough"/>, as the loop does: one that is lost is not repeated.</summary>
    private static async Task BeatUntilAsync(TlsPeerTransport transport, NodeName to, Func<bool> enough)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        for (var i = 0; !enough(); i++)
        {
            transport.Send(to, Encoding.UTF8.GetBytes($"beat {i}"));
            await timer.WaitForNextTickAsync(Cancel);
        }
    }

    [Fact]
    public async Task Send_Member_ArrivesWithItsAuthenticatedName()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        var (_, inbox) = Open(_cluster.Issue("n2"), b);
        Peer(n1, s_n2, b);
        n1.Send(s_n2, "hello"u8.ToArray());
        Assert.Equal((s_n1, "hello"), await inbox.Reader.ReadAsync(Cancel));
    }

    [Fact]
    public async Task Send_CertificateIsRenewed_MovesToAConnectionWithTheNewOneBeforeTheOldIsCutOff()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (mine, theirs) = (_cluster.Issue("n1"), _cluster.Issue("n2"));
        var (n1, _) = Open(mine, a);
        var (_, inbox) = Open(theirs, b);
        Peer(n1, s_n2, b);
        var received = 0;
        using var reading = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var counting = Task.Run(async () =>
        {
            while (await inbox.Reader.WaitToReadAsync(reading.Token))
            {
                while (inbox.Reader.TryRead(out _)) received++;
            }
        }, reading.Token);
        await BeatUntilAsync(n1, s_n2, () => received > 10);
        for (var renewal = 0; renewal < 5; renewal++)
        {
            var before = mine.Own.SerialNumber;
            using (var request = new NodeRequest()) request.Renew(_cluster.Authority.Sign(request.ToPem(), s_n1, [IPAddress.Loopback]), mine.Directory);
            mine.Reload();
            var had = received;
            await BeatUntilAsync(n1, s_n2, () => received > had + 20);
            // Who is still on the old one is cut off now: nobody is.
            theirs.Revoked.Add(new Dictionary<string, string> { [before] = "n1" });
            had = received;
            await BeatUntilAsync(n1, s_n2, () => received > had + 20);
        }

        await reading.CancelAsync();
        await counting.ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.DoesNotContain(_log, line => line.Contains("revoked", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Send_LargestMessage_ArrivesAndALargerOneIsAnError()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        var (_, inbox) = Open(_cluster.Issue("n2"), b);
        Peer(n1, s_n2, b);
        n1.Send(s_n2, Encoding.UTF8.GetBytes(new string('x', TlsPeerTransport.LargestMessage)));
        Assert.Equal(TlsPeerTransport.LargestMessage, (await inbox.Reader.ReadAsync(Cancel)).Text.Length);
        Assert.Throws<ArgumentOutOfRangeException>(() => n1.Send(s_n2, new byte[TlsPeerTransport.LargestMessage + 1]));
    }

    [Fact]
    public async Task Send_PeerNotThereYet_KeepsOnlyTheNewest()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        Peer(n1, s_n2, b);
        for (var i = 0; i <= 50; i++)
        {
            n1.Send(s_n2, Encoding.UTF8.GetBytes($"{i}"));
        }

        var (_, inbox) = Open(_cluster.Issue("n2"), b);
        Assert.Equal("50", (await inbox.Reader.ReadAsync(Cancel)).Text);
    }

    [Fact]
    public async Task Send_PeerRestarted_ArrivesAgain()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        var (first, before) = Open(_cluster.Issue("n2"), b);
        Peer(n1, s_n2, b);
        await BeatUntilAsync(n1, s_n2, () => before.Reader.TryRead(out _));
        await first.DisposeAsync();
        var (_, after) = Open(_cluster.Issue("n2"), b);
        await BeatUntilAsync(n1, s_n2, () => after.Reader.TryRead(out _));
    }

    [Theory]
    [InlineData(5, 5, null)]
    [InlineData(4, 4, null)]
    [InlineData(3, 3, null)]
    // A program of before versions were told.
    [InlineData(0, 3, null)]
    [InlineData(2, 2, "Upgrade n2")]
    [InlineData(7, 7, "Upgrade this node")]
    public async Task VersionOf_Peer_IsWhatItAcknowledgesWith(byte speaks, byte expected, string? complaint)
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        Open(_cluster.Issue("n2"), speaks, b);
        Assert.Null(n1.VersionOf(s_n2));
        Peer(n1, s_n2, b);
        await BeatUntilAsync(n1, s_n2, () => n1.VersionOf(s_n2) is not null);
        Assert.Equal(expected, n1.VersionOf(s_n2));
        // The version is known a moment before it is complained of.
        if (complaint is not null) await BeatUntilAsync(n1, s_n2, () => !_log.IsEmpty);
        Assert.Equal(complaint is null ? [] : [complaint], _log.Select(line => line.Contains(complaint ?? "", StringComparison.Ordinal) ? complaint! : line));
    }

    [Fact]
    public async Task VersionOf_PeerThatCameBackAsAnOlderOne_IsLearntAnew()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        var (first, _) = Open(_cluster.Issue("n2"), 4, b);
        Peer(n1, s_n2, b);
        await BeatUntilAsync(n1, s_n2, () => n1.VersionOf(s_n2) == 4);
        await first.DisposeAsync();
        Open(_cluster.Issue("n2"), 3, b);
        await BeatUntilAsync(n1, s_n2, () => n1.VersionOf(s_n2) == 3);
    }

    [Fact]
    public async Task Send_TwoLinks_OneOfThemDead_StillArrives()
    {
        PrivateEndpoint a = Free(), b = Free("127.0.0.2"), dead = Free("127.0.0.3");
        var (n1, _) = Open(_cluster.Issue("n1"), a, Free("127.0.0.1"));
        var (_, inbox) = Open(_cluster.Issue("n2"), b);
        Peer(n1, s_n2, dead, b);
        await BeatUntilAsync(n1, s_n2, () => inbox.Reader.TryRead(out _));
    }

    [Fact]
    public async Task Send_ConnectionThatAcknowledgesNothing_IsReplaced()
    {
        // A peer that completes the handshake and then is as silent as a cut wire.
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var b = new PrivateEndpoint(IPAddress.Loopback, ((IPEndPoint)listener.LocalEndpoint).Port);
        var (n1, _) = Open(_cluster.Issue("n1"), Free());
        Peer(n1, s_n2, b);
        var certificate = _cluster.Issue("n2");
        var dialled = 0;
        var silent = Task.Run(async () =>
        {
            var held = new List<IDisposable>();
            while (dialled < 2)
            {
                var socket = await listener.AcceptSocketAsync(Cancel);
                held.Add(socket);
                var tls = new System.Net.Security.SslStream(new NetworkStream(socket));
                held.Add(tls);
                await tls.AuthenticateAsServerAsync(certificate.ServerOptions(_ => { }), Cancel);
                dialled++;
            }

            held.ForEach(item => item.Dispose());
        }, Cancel);
        await BeatUntilAsync(n1, s_n2, () => silent.IsCompleted);
        await silent;
    }

    [Fact]
    public async Task Receive_ForeignCertificate_GetsNothingAndIsNamed()
    {
        using var foreign = new TestCluster();
        PrivateEndpoint a = Free(), b = Free();
        // Its own authority is foreign; so that it connects at all, it trusts ours.
        var intruder = foreign.Issue("n1");
        File.Copy(Path.Combine(_cluster.Issue("n1").Directory, NodeCertificate.AuthorityFile), Path.Combine(intruder.Directory, NodeCertificate.AuthorityFile), overwrite: true);
        using var disguised = NodeCertificate.Load(intruder.Directory);
        var (n1, _) = Open(disguised, a);
        var (_, inbox) = Open(_cluster.Issue("n2"), b);
        Peer(n1, s_n2, b);
        await BeatUntilAsync(n1, s_n2, () => _log.Any(line => line.Contains("refused", StringComparison.Ordinal)));
        Assert.Contains(_log, line => line.Contains("'CN=n1' is not accepted", StringComparison.Ordinal));
        Assert.False(inbox.Reader.TryRead(out _));
    }

    [Fact]
    public async Task Send_AnotherMemberAtThePeersAddress_GetsNothingAndIsNamed()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        var (_, inbox) = Open(_cluster.Issue("n3"), b);
        Peer(n1, s_n2, b);
        await BeatUntilAsync(n1, s_n2, () => _log.Any(line => line.Contains("is not n2", StringComparison.Ordinal)));
        Assert.False(inbox.Reader.TryRead(out _));
    }

    [Fact]
    public async Task SetPeers_PeerLeftOut_IsNotSentToAnyMore()
    {
        PrivateEndpoint a = Free(), b = Free();
        var (n1, _) = Open(_cluster.Issue("n1"), a);
        var (_, inbox) = Open(_cluster.Issue("n2"), b);
        Peer(n1, s_n2, b);
        n1.Send(s_n2, "one"u8.ToArray());
        await inbox.Reader.ReadAsync(Cancel);
        n1.SetPeers(new Dictionary<NodeName, IReadOnlyList<PrivateEndpoint>>());
        n1.Send(s_n2, "two"u8.ToArray());
        Peer(n1, s_n2, b);
        n1.Send(s_n2, "three"u8.ToArray());
        Assert.Equal("three", (await inbox.Reader.ReadAsync(Cancel)).Text);
    }
}
