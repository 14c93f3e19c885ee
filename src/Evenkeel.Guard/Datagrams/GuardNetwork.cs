using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Datagrams;

/// <summary>
/// The guards' datagrams on the private connection: one UDP socket for each of this node's private addresses, every datagram
/// sent over every link (the receiver takes the first), sealed. Never blocks; what cannot be sent is lost, as datagrams are.
/// </summary>
internal sealed unsafe class GuardNetwork(GuardSession session, Action<string> warn) : IDisposable
{
    /// <summary>Larger ones are split: a fragment lost would lose all of them.</summary>
    private const int MaximumPayload = 1300;

    private readonly SealedChannel _channel = new(session);
    private readonly byte[] _packet = new byte[SealedChannel.MaximumPacket];
    private readonly byte[] _payload = new byte[MaximumPayload];
    private readonly Dictionary<NodeName, byte[][]> _links = [];
    private readonly Dictionary<NodeName, AskDatagram> _lastAsks = [];
    private readonly List<Socket> _sockets = [];
    private Configure? _configuration;
    private bool _bound;
    private Instant _nextCare;

    public int SocketCount => _sockets.Count;
    public int Descriptor(int socket) => (int)_sockets[socket].Handle;

    public void Configure(Configure configuration, Instant now)
    {
        var before = _configuration?.Guards.FirstOrDefault(guard => guard.Node == _configuration.Self);
        _configuration = configuration;
        _channel.Configure(configuration);
        _links.Clear();
        foreach (var guard in configuration.Guards)
            _links[guard.Node] = [.. guard.Addresses.Select(address => Bytes(new(IPAddress.Parse(address), guard.Port)))];
        var mine = configuration.Guards.FirstOrDefault(guard => guard.Node == configuration.Self);
        if (before is null || mine is null || before.Port != mine.Port || !before.Addresses.SequenceEqual(mine.Addresses)) Unbind();
        _nextCare = now;
        TakeCare(now);
    }

    /// <summary>Once a second: binds addresses that were not there before, greets peers whose session is not known.</summary>
    public void TakeCare(Instant now)
    {
        if (_configuration is null || !now.HasWaitedUntil(_nextCare)) return;
        _nextCare = now + TimeSpan.FromSeconds(1);
        if (!_bound) Bind();
        foreach (var peer in _channel.Peers)
            if (peer.Session == default) SendSealed(peer.Name, []);
    }

    public void Send(NodeName to, GuardDatagram datagram)
    {
        if (datagram is AskDatagram ask) _lastAsks[to] = ask;
        var length = DatagramCodec.Write(datagram, _payload);
        if (length >= 0) SendSealed(to, _payload.AsSpan(0, length));
        else foreach (var half in Halves(datagram)) Send(to, half);
    }

    /// <summary>Takes one datagram from the socket; null when it was nothing to pass on.</summary>
    /// <param name="empty">True when the socket has no more.</param>
    public (NodeName From, GuardDatagram Datagram)? Receive(int socket, out bool empty)
    {
        nint length;
        fixed (byte* buffer = _packet) length = Libc.ReceiveFrom(Descriptor(socket), buffer, (nuint)_packet.Length, Libc.MsgDontWait, 0, 0);
        empty = length < 0;
        if (empty) return null;
        switch (_channel.Open(_packet.AsSpan(0, (int)length), out var from, out var sender, out var payload))
        {
            case Opened.Payload when DatagramCodec.TryRead(payload, sender, out var datagram): return (from, datagram);
            case Opened.Stale: SendSealed(from, [], sender); break;
            case Opened.Greeting:
                SendSealed(from, []);
                if (_lastAsks.TryGetValue(from, out var ask)) Send(from, ask);
                break;
        }
        return null;
    }

    private static IEnumerable<GuardDatagram> Halves(GuardDatagram datagram) => datagram switch
    {
        AskDatagram { Asks.Count: > 1 } ask =>
            [new AskDatagram(ask.Sender, ask.AskedAt, [.. ask.Asks.Take(ask.Asks.Count / 2)], ask.Releases),
             new AskDatagram(ask.Sender, ask.AskedAt, [.. ask.Asks.Skip(ask.Asks.Count / 2)], [])],
        AskDatagram { Releases.Count: > 1 } ask =>
            [new AskDatagram(ask.Sender, ask.AskedAt, ask.Asks, [.. ask.Releases.Take(ask.Releases.Count / 2)]),
             new AskDatagram(ask.Sender, ask.AskedAt, [], [.. ask.Releases.Skip(ask.Releases.Count / 2)])],
        AskDatagram { Asks.Count: 1, Releases.Count: 1 } ask =>
            [new AskDatagram(ask.Sender, ask.AskedAt, ask.Asks, []), new AskDatagram(ask.Sender, ask.AskedAt, [], ask.Releases)],
        AnswerDatagram { Answers.Count: > 1 } answer =>
            [new AnswerDatagram(answer.Sender, answer.To, answer.AskedAt, [.. answer.Answers.Take(answer.Answers.Count / 2)]),
             new AnswerDatagram(answer.Sender, answer.To, answer.AskedAt, [.. answer.Answers.Skip(answer.Answers.Count / 2)])],
        _ => throw new InvalidOperationException("a datagram about one resource does not fit"),
    };

    private void SendSealed(NodeName to, ReadOnlySpan<byte> payload, GuardSession? named = null)
    {
        if (_sockets.Count == 0 || !_links.TryGetValue(to, out var links)) return;
        Span<byte> packet = stackalloc byte[MaximumPayload + 256 + 64];
        var length = _channel.Seal(to, payload, packet, named);
        if (length == 0) return;
        fixed (byte* start = packet)
            for (var link = 0; link < links.Length; link++)
                fixed (byte* address = links[link])
                    _ = Libc.SendTo(Descriptor(Math.Min(link, _sockets.Count - 1)), start, (nuint)length, Libc.MsgDontWait | Libc.MsgNoSignal, address, (uint)links[link].Length);
    }

    private void Bind()
    {
        var mine = _configuration!.Guards.FirstOrDefault(guard => guard.Node == _configuration.Self);
        if (mine is null) return;
        Unbind();
        try
        {
            foreach (var address in mine.Addresses.Select(IPAddress.Parse))
            {
                var socket = new Socket(address.AddressFamily, SocketType.Dgram, ProtocolType.Udp);
                _sockets.Add(socket);
                socket.Bind(new IPEndPoint(address, mine.Port));
            }
            _bound = true;
        }
        catch (SocketException error)
        {
            warn($"port {mine.Port} of {string.Join(", ", mine.Addresses)} cannot be bound: {error.Message}");
            Unbind();
        }
    }

    private void Unbind()
    {
        foreach (var socket in _sockets) socket.Dispose();
        _sockets.Clear();
        _bound = false;
    }

    private static byte[] Bytes(IPEndPoint endpoint)
    {
        var address = endpoint.Serialize();
        return address.Buffer.Span[..address.Size].ToArray();
    }

    public void Dispose()
    {
        Unbind();
        _channel.Dispose();
    }
}
