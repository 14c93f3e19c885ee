namespace Evenkeel.Core.Loop.Store;

/// <summary>
/// Beats say how far each node's copy of the store reaches. When another's is ahead for longer than two beats, our watch is
/// slow or hangs on a member that was cut off: everything is read again, or we would learn of our own ownership too late.
/// </summary>
public sealed class CopyFreshness(Knowledge known)
{
    private static readonly TimeSpan betweenReadings = TimeSpan.FromMilliseconds(400);

    private long behind;
    private TimeSpan behindSince;
    private TimeSpan lastReading = TimeSpan.MinValue;

    public void OnTick()
    {
        if (!known.HasState || known.Spec is not { } spec) return;
        long furthest = 0;
        foreach (var node in spec.Nodes.Keys)
            if (node != known.Self && known.IsAlive(node) && known.Peers.Find(node)?.Last is { } beat && beat.Incarnation == known.State.Incarnation)
                furthest = Math.Max(furthest, beat.Revision);
        if (furthest <= known.State.Revision)
        {
            behind = 0;
            return;
        }
        // Behind one and the same revision: a copy that follows a busy store is behind another each time.
        if (behind == 0 || behind <= known.State.Revision) (behind, behindSince) = (furthest, known.Awake);
        if (known.Awake - behindSince <= 2 * known.Timings.Beat) return;
        if (lastReading != TimeSpan.MinValue && known.Awake - lastReading < betweenReadings) return;
        lastReading = known.Awake;
        known.Add(new RereadStore("another node's copy is ahead"));
    }
}
