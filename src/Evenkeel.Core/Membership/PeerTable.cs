using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Membership;

/// <summary>
/// Who is alive, as this agent sees it. A peer lives when it was heard within the detection time and its echoes say that it
/// hears us too: a node that is heard but does not hear counts as lost (safety rule 1), else a deaf owner would keep what it
/// cannot use for ever. All times are on the <see cref="AwakeClock"/>.
/// </summary>
public sealed class PeerTable(NodeName self, ulong session, bool twoWay = true)
{
    private const int Remembered = 512;
    private readonly TimeSpan[] sentAt = new TimeSpan[Remembered];
    private readonly SortedDictionary<NodeName, Peer> peers = [];
    private long sequence;

    public ulong Session => session;
    public IEnumerable<Peer> All => peers.Values;
    public Peer? Find(NodeName node) => peers.GetValueOrDefault(node);
    public bool IsAlive(NodeName node) => node == self || (peers.TryGetValue(node, out var peer) && peer.Alive);

    /// <summary>The number of the beat that now leaves to every peer.</summary>
    public long NextSequence(TimeSpan awake)
    {
        sentAt[++sequence % Remembered] = awake;
        return sequence;
    }

    /// <summary>False when the beat is old, doubled, or of a run that ended.</summary>
    public bool Receive(Beat beat, TimeSpan awake, Timings timings)
    {
        if (beat.Sender == self) return false;
        if (!peers.TryGetValue(beat.Sender, out var peer)) peers[beat.Sender] = peer = new Peer(beat.Sender, twoWay);
        if (!peer.Accepts(beat, awake, timings.Detection)) return false;
        peer.Receive(beat, awake);
        foreach (var echo in beat.Heard)
            if (echo.Peer == self && echo.Session == session && echo.Sequence <= sequence && echo.Sequence > sequence - Remembered)
                peer.Echoed(sentAt[echo.Sequence % Remembered]);
        return true;
    }

    /// <summary>Judges everybody anew; yields the peers whose liveness changed.</summary>
    public IEnumerable<Peer> Judge(TimeSpan awake, Timings timings)
    {
        // An echo is older than silence by the way there, the peer's next beat, and the way back.
        var echoPatience = timings.Detection + 3 * timings.Beat;
        foreach (var peer in peers.Values)
            if (peer.Judge(awake, timings.Detection, echoPatience)) yield return peer;
    }

    public IReadOnlyList<Echo> Echoes(TimeSpan awake, Timings timings) =>
        [.. from peer in peers.Values
            where peer.Last is not null && awake - peer.HeardAt < timings.Detection
            select new Echo(peer.Name, peer.Last!.Session, peer.Last.Sequence)];

    public void Forget(IReadOnlySet<NodeName> members)
    {
        foreach (var gone in peers.Keys.Where(name => !members.Contains(name)).ToList()) peers.Remove(gone);
    }
}
