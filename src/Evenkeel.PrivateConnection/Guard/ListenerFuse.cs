using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PrivateConnection.Guard;

/// <summary>
/// Without privileges the kernel does not fence a VIP's listener, and a guard that is frozen together with its agent cannot
/// kill it. So the agent keeps a kernel timer that kills it (stopped processes too) at the lease's end, and each renewal by
/// the guard moves on. One timer for all listeners, set to the earliest end. Rejected: a watchdog thread, which stops when
/// the process is stopped.
/// </summary>
internal sealed class ListenerFuse(Func<IKillTimer> create)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(ResourceId, Epoch), Instant> _ends = [];
    private IKillTimer? _timer;
    private long _armed;

    public ListenerFuse() : this(static () => new KillTimer()) { }

    /// <summary>Notes what the guard says; <see cref="Set"/> puts it into force.</summary>
    public void Take(GuardMessage message)
    {
        lock (_gate)
        {
            if (message is ListenerLease lease) _ends[(lease.Resource, lease.Epoch)] = lease.Until;
            // The guard says so only when the listeners are known to be closed.
            else if (message is LeaseChanged { Phase: LeasePhase.Ended } ended) _ends.Remove((ended.Resource, ended.Epoch));
        }
    }

    /// <summary>Arms the timer for the earliest end, or disarms it when there is none.</summary>
    public void Set()
    {
        lock (_gate)
        {
            var earliest = _ends.Count == 0 ? 0 : _ends.Values.Min(end => end.BootNanoseconds);
            if (earliest == _armed) return;
            _armed = earliest;
            _timer ??= create();
            if (earliest == 0) _timer.Disarm();
            else _timer.KillAt(earliest);
        }
    }

    /// <summary>The agent has closed the lease's listeners.</summary>
    public void Disarm(ResourceId resource, Epoch epoch)
    {
        lock (_gate)
            if (_ends.Remove((resource, epoch))) Set();
    }
}
