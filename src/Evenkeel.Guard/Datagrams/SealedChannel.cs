using System.Buffers.Binary;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Guard.Datagrams;

internal enum Opened
{
    /// <summary>Not ours, not authentic, or heard before.</summary>
    Nothing,
    /// <summary>Authentic, but not meant for this session (it may be a recording): answer with a greeting, deliver nothing.</summary>
    Stale,
    /// <summary>The peer has a session that we did not know; greet it, and repeat what it may have missed.</summary>
    Greeting,
    /// <summary>A known peer's greeting.</summary>
    Known,
    Payload,
}

/// <summary>
/// Seals and opens datagrams: version (1 byte), key number (4), sender's session (8), counter (8), sender's name (1 + n) in
/// clear but authenticated; then AES-256-GCM over the receiver's session (8) and the payload. A datagram is delivered only
/// if it names the receiver's present session, so what was recorded before a restart is worth nothing after it. An empty
/// payload greets: it teaches the other side our session. Rejected: DTLS, whose handshakes would stand between a restarted
/// guard and its first vote.
/// </summary>
internal sealed class SealedChannel(GuardSession own) : IDisposable
{
    public const int MaximumPacket = 65_000;
    private const byte Version = 1;
    private const int FixedHeader = 22;

    private readonly Dictionary<NodeName, Peer> _peers = [];
    private readonly byte[] _plain = new byte[MaximumPacket];
    private IReadOnlyDictionary<int, byte[]> _keys = new Dictionary<int, byte[]>();
    private string _cluster = "";
    private NodeName _self;
    private int _sealingKey;

    public IEnumerable<Peer> Peers => _peers.Values;

    public void Configure(Configure configuration)
    {
        (_cluster, _self, _keys) = (configuration.Cluster, configuration.Self, configuration.Keys);
        _sealingKey = configuration.SealingKey ?? (_keys.Count == 0 ? 0 : _keys.Keys.Max());
        foreach (var gone in _peers.Keys.Where(name => configuration.Guards.All(guard => guard.Node != name)).ToList())
        {
            _peers[gone].Dispose();
            _peers.Remove(gone);
        }
        foreach (var guard in configuration.Guards)
            if (guard.Node != _self) _peers.TryAdd(guard.Node, new Peer(guard.Node));
        foreach (var peer in _peers.Values) peer.Forget(number => !_keys.ContainsKey(number));
    }

    /// <param name="session">Whom it names instead of the peer's known session: a stale sender that is greeted but not yet believed.</param>
    /// <returns>The packet's length; 0 when there is no such peer, no key, or no room.</returns>
    public int Seal(NodeName to, ReadOnlySpan<byte> payload, Span<byte> packet, GuardSession? session = null)
    {
        if (!_peers.TryGetValue(to, out var peer) || !_keys.TryGetValue(_sealingKey, out var clusterKey)) return 0;
        var header = FixedHeader + Encoding.UTF8.GetByteCount(_self.Value);
        var length = header + 8 + payload.Length + SessionKey.TagSize;
        if (length > packet.Length) return 0;
        packet[0] = Version;
        BinaryPrimitives.WriteInt32LittleEndian(packet[1..], _sealingKey);
        BinaryPrimitives.WriteUInt64LittleEndian(packet[5..], own.Value);
        BinaryPrimitives.WriteUInt64LittleEndian(packet[13..], ++peer.Counter);
        packet[21] = (byte)Encoding.UTF8.GetBytes(_self.Value, packet[FixedHeader..]);
        BinaryPrimitives.WriteUInt64LittleEndian(_plain, (session ?? peer.Session).Value);
        payload.CopyTo(_plain.AsSpan(8));
        peer.Sealing(_sealingKey, () => new SessionKey(clusterKey, _cluster, _self, own, to))
            .Seal(peer.Counter, packet[..header], _plain.AsSpan(0, 8 + payload.Length), packet[header..length]);
        return length;
    }

    /// <param name="payload">Valid until the next call.</param>
    public Opened Open(ReadOnlySpan<byte> packet, out NodeName from, out GuardSession session, out ReadOnlySpan<byte> payload)
    {
        (from, session) = (default, default);
        payload = default;
        if (packet.Length < FixedHeader || packet.Length > MaximumPacket || packet[0] != Version || packet.Length < FixedHeader + packet[21]) return Opened.Nothing;
        var header = FixedHeader + packet[21];
        from = new(Encoding.UTF8.GetString(packet[FixedHeader..header]));
        session = new(BinaryPrimitives.ReadUInt64LittleEndian(packet[5..]));
        var number = BinaryPrimitives.ReadInt32LittleEndian(packet[1..]);
        var counter = BinaryPrimitives.ReadUInt64LittleEndian(packet[13..]);
        if (!_peers.TryGetValue(from, out var peer) || !_keys.TryGetValue(number, out var clusterKey)) return Opened.Nothing;
        if (packet.Length < header + 8 + SessionKey.TagSize) return Opened.Nothing;

        var heard = peer.Find(session, number);
        var key = heard?.Key ?? new SessionKey(clusterKey, _cluster, from, session, _self);
        if (!key.TryOpen(counter, packet[..header], packet[header..], _plain))
        {
            if (heard is null) key.Dispose();
            return Opened.Nothing;
        }
        if (heard is null) peer.Remember(heard = new(session, number, key, new ReplayWindow()));
        if (!heard.Window.TryTake(counter)) return Opened.Nothing;

        if (BinaryPrimitives.ReadUInt64LittleEndian(_plain) != own.Value) return Opened.Stale;
        payload = _plain.AsSpan(8, packet.Length - header - 8 - SessionKey.TagSize);
        var known = peer.Session == session;
        peer.Session = session;
        return payload.IsEmpty ? (known ? Opened.Known : Opened.Greeting) : Opened.Payload;
    }

    public void Dispose()
    {
        foreach (var peer in _peers.Values) peer.Dispose();
    }
}
