using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>The processes that this guard started for its agent, and the lease under which each may run.</summary>
internal sealed class InstanceTable
{
    /// <summary><c>ProcessId</c> is zero while it is being started; <c>Left</c> is said when only what its main process left behind is still there.</summary>
    internal sealed record Entry(LaunchRequest Request, int ProcessId, Exited? Left = null);

    private readonly SortedDictionary<string, Entry> _running = new(StringComparer.Ordinal);

    public int Count => _running.Count;
    /// <summary>Nothing runs; of what was killed, something may still be there, and no guard can end it.</summary>
    public bool AllEnded => _running.Values.All(entry => entry.Left is not null);
    public IEnumerable<string> Names => _running.Keys;

    public IReadOnlyList<RunningInstance> List() =>
        [.. _running.Values.Select(entry => new RunningInstance(entry.Request.Instance, entry.ProcessId, entry.Request.Lease, entry.Request))];

    /// <summary>What runs or is being started under this name.</summary>
    public Entry? Find(string instance) => _running.GetValueOrDefault(instance);

    public void Begin(LaunchRequest request) => _running.Add(request.Instance, new(request, 0));

    public void Started(LaunchRequest request, int processId)
    {
        if (processId == 0) _running.Remove(request.Instance);
        else _running[request.Instance] = new(request, processId);
    }

    public IEnumerable<Exited> Left => _running.Values.Select(entry => entry.Left).OfType<Exited>();

    public void Exited(Exited exited)
    {
        if (!_running.TryGetValue(exited.Instance, out var entry) || entry.ProcessId != exited.ProcessId) return;
        if (exited.Left) _running[exited.Instance] = entry with { Left = exited };
        else _running.Remove(exited.Instance);
    }

    public IEnumerable<string> Under(HeldLease lease) =>
        _running.Count == 0 ? [] : _running.Values.Where(entry => entry.Request.Lease == lease).Select(entry => entry.Request.Instance);
}
