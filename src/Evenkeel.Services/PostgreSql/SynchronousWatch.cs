using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Which of the nodes that commits wait for surely have everything acknowledged so far. That the setting reads so in one
/// session proves little: each backend, each sender and the checkpointer reload it in their own time, and until the last has,
/// a commit may still be acknowledged without waiting. So a barrier is read only a second after the setting was first seen:
/// everything acknowledged under an earlier setting lies before it, and a node whose flushed log passes it has all of that.
/// Later commits wait for the node themselves.
/// </summary>
internal sealed class SynchronousWatch
{
    private static readonly TimeSpan Settling = TimeSpan.FromSeconds(1);
    private readonly Lock _gate = new();
    private IReadOnlyList<NodeName> _required = [];
    private readonly HashSet<NodeName> _proven = [];
    private TimeSpan _since;
    private long? _barrier;

    /// <summary>
    /// Another setting is on its way: one that comes and goes between two looks is seen by nobody, and what was acknowledged
    /// under it is on fewer nodes.
    /// </summary>
    public void Expect(IReadOnlyList<NodeName> required)
    {
        lock (_gate)
        {
            if (_proven.IsSubsetOf(required) && required.SequenceEqual(_required))
            {
                return;
            }

            _proven.IntersectWith(required);
            (_required, _barrier) = ([], null);
        }
    }

    /// <param name="now">Any monotonic clock.</param>
    public (IReadOnlyList<NodeName> Required, IReadOnlyList<NodeName> Synchronous) Observe(TimeSpan now, ServerStatus status)
    {
        lock (_gate)
        {
            return ObserveInTurn(now, status);
        }
    }

    private (IReadOnlyList<NodeName> Required, IReadOnlyList<NodeName> Synchronous) ObserveInTurn(TimeSpan now, ServerStatus status)
    {
        var required = status.Recovering ? [] : SynchronousNames.Parse(status.Names);
        if (!required.SequenceEqual(_required))
        {
            // Who was waited for before and still is, was so at every moment: both settings name it.
            _proven.IntersectWith(required);
            (_required, _since, _barrier) = (required, now, null);
        }

        if (_barrier is null && now - _since >= Settling)
        {
            _barrier = status.Position;
        }

        var confirming = status.Followers.Where(follower => follower is { Streaming: true, Synchronous: true }).ToList();
        if (_barrier is { } barrier)
        {
            _proven.UnionWith(confirming.Where(follower => follower.FlushedTo >= barrier && required.Contains(follower.Node)).Select(follower => follower.Node));
        }

        return (required, [.. required.Where(node => _proven.Contains(node) && confirming.Any(follower => follower.Node == node))]);
    }
}
