using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Which of the nodes that commits wait for surely have everything acknowledged so far. That the setting reads so in one
/// session proves little: each backend, each sender and the checkpointer reload it in their own time, and until the last has,
/// a commit may still be acknowledged without waiting. So a barrier is read only a second after the setting was first seen:
/// everything acknowledged under an earlier setting lies before it, and a node whose flushed log passes it has all of that.
/// Later commits wait for the node themselves. Where they wait for any so many of several, none is waited for by name: that so many
/// have passed the barrier says that everything earlier is on so many, and any other setting begins anew.
/// </summary>
internal sealed class SynchronousWatch
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);
    private readonly Lock _gate = new();
    private CommitWait _wait = CommitWait.Nobody;
    private readonly HashSet<NodeName> _proven = [];
    private TimeSpan _since;
    private CommitWait _expected = CommitWait.Nobody;
    private long? _barrier;
    private TimeSpan _distrusted = TimeSpan.MinValue;

    /// <summary>
    /// Another setting is on its way: one that comes and goes between two looks is seen by nobody, and what was acknowledged
    /// under it is on fewer nodes.
    /// </summary>
    /// <returns>The nodes for whom what was proven stands.</returns>
    public IReadOnlyList<NodeName> Expect(CommitWait wait)
    {
        lock (_gate)
        {
            if (!_proven.IsSubsetOf(wait.Nodes) || wait != _wait)
            {
                Keep(wait);
                (_wait, _barrier) = (CommitWait.Nobody, null);
                _expected = wait;
            }

            return [.. _proven];
        }
    }

    /// <summary>
    /// Somebody else has changed what commits wait for, perhaps between two looks: what was proven is worth nothing, and for a moment
    /// nobody counts as waited for, so that the owner takes them out of the sync set.
    /// </summary>
    public void Distrust(TimeSpan now)
    {
        lock (_gate)
        {
            _distrusted = now + Settling;
        }
    }

    /// <param name="now">Any monotonic clock.</param>
    public (CommitWait Wait, IReadOnlyList<NodeName> Synchronous) Observe(TimeSpan now, ServerStatus status)
    {
        lock (_gate)
        {
            return ObserveInTurn(now, status);
        }
    }

    private (CommitWait Wait, IReadOnlyList<NodeName> Synchronous) ObserveInTurn(TimeSpan now, ServerStatus status)
    {
        var wait = status.Recovering || now < _distrusted ? CommitWait.Nobody : SynchronousNames.Parse(status.Names);
        if (wait != _wait)
        {
            Keep(wait);
            (_wait, _since, _barrier) = (wait, now, null);
        }

        if (_barrier is null && now - _since >= Settling)
        {
            _barrier = status.Position;
        }

        var confirming = status.Followers.Where(follower => follower is { Streaming: true, Synchronous: true }).ToList();
        if (_barrier is { } barrier)
        {
            _proven.UnionWith(confirming.Where(follower => follower.FlushedTo >= barrier && wait.Nodes.Contains(follower.Node)).Select(follower => follower.Node));
        }

        return (wait, [.. wait.Nodes.Where(node => _proven.Contains(node) && confirming.Any(follower => follower.Node == node))]);
    }

    // Who was waited for before and still is, by both settings' names, was so at every moment.
    private void Keep(CommitWait next)
    {
        if (IsForAll(next) && IsForAll(_wait) && IsForAll(_expected))
        {
            _proven.IntersectWith(next.Nodes);
        }
        else
        {
            _proven.Clear();
        }

        _expected = CommitWait.Nobody;
    }

    private static bool IsForAll(CommitWait wait) => wait.Any == wait.Nodes.Count;
}
