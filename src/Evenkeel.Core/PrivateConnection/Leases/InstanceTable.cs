using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>The processes that this guard started for its agent, and the lease under which each may run.</summary>
internal sealed class InstanceTable
{
    /// <summary><c>ProcessId</c> is zero while it is being started.</summary>
    internal sealed record Entry(LaunchRequest Request, int ProcessId);

    private readonly SortedDictionary<string, Entry> _running = new(StringComparer.Ordinal);

    public int Count => _running.Count;
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

    public void Exited(string instance, int processId)
    {
        if (_running.TryGetValue(instance, out var entry) && entry.ProcessId == processId) _running.Remove(instance);
    }

    public IEnumerable<string> Under(HeldLease lease) =>
        _running.Count == 0 ? [] : _running.Values.Where(entry => entry.Request.Lease == lease).Select(entry => entry.Request.Instance);
}
