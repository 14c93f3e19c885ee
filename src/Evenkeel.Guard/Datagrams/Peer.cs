using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Datagrams;

/// <summary>What this guard knows of another: its present session, the key to speak to it, and what it has already heard.</summary>
internal sealed class Peer(NodeName name) : IDisposable
{
    /// <summary>A restarted peer and its predecessor's late datagrams; more would be somebody's play.</summary>
    private const int MaximumSessions = 4;

    public sealed record Heard(GuardSession Session, int KeyNumber, SessionKey Key, ReplayWindow Window);

    private readonly List<Heard> _heard = [];
    private SessionKey? _sealing;
    private int _sealingNumber;

    public NodeName Name { get; } = name;
    /// <summary>The peer's session, proven by a datagram that named ours; default while unknown.</summary>
    public GuardSession Session { get; set; }
    public ulong Counter { get; set; }

    public Heard? Find(GuardSession session, int keyNumber)
    {
        foreach (var one in _heard)
            if (one.Session == session && one.KeyNumber == keyNumber) return one;
        return null;
    }

    /// <summary>Only for a session that has authenticated itself.</summary>
    public void Remember(Heard heard)
    {
        if (_heard.Count == MaximumSessions)
        {
            _heard[0].Key.Dispose();
            _heard.RemoveAt(0);
        }
        _heard.Add(heard);
    }

    public SessionKey Sealing(int keyNumber, Func<SessionKey> derive)
    {
        if (_sealing is not null && _sealingNumber == keyNumber) return _sealing;
        _sealing?.Dispose();
        _sealingNumber = keyNumber;
        return _sealing = derive();
    }

    /// <summary>Keys that are no longer configured open nothing any more.</summary>
    public void Forget(Func<int, bool> isGone)
    {
        foreach (var one in _heard.Where(one => isGone(one.KeyNumber))) one.Key.Dispose();
        _heard.RemoveAll(one => isGone(one.KeyNumber));
    }

    public void Dispose()
    {
        Forget(_ => true);
        _sealing?.Dispose();
    }
}
