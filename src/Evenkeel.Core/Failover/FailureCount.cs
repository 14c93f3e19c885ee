using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// How often an instance has failed on a node lately, for services that shall be restarted where they are before they move
/// (<see cref="PlacementSpec.MaxFailures"/>). Counted by every agent from the beats, so that a new controller knows already.
/// </summary>
public sealed class FailureCount(Knowledge known)
{
    private sealed class Tally
    {
        public int Restarts;
        public TimeSpan? FailedSince;
        public Queue<TimeSpan> Times { get; } = new();
    }

    private readonly Dictionary<(string, NodeName), Tally> tallies = [];

    public void Observe(ClusterSpec spec)
    {
        foreach (var service in known.Services.Values)
        {
            if (service.Placement.MaxFailures is not { } most) continue;
            foreach (var node in spec.Nodes.Keys)
                if (known.LiveInstance(node, service.Name) is { } instance) Observe(instance, node, most);
        }
    }

    private void Observe(InstanceFacts instance, NodeName node, int most)
    {
        if (!tallies.TryGetValue((instance.Service, node), out var tally)) tallies[(instance.Service, node)] = tally = new Tally { Restarts = instance.Restarts };
        var failed = instance.Status == InstanceStatus.Failed;
        // A failure that was mended between two beats shows in the count of restarts alone; one that never started, in the status alone.
        var times = Math.Max(instance.Restarts - tally.Restarts, failed && tally.FailedSince is null ? 1 : 0);
        tally.Restarts = instance.Restarts;
        tally.FailedSince = failed ? tally.FailedSince ?? known.Awake : null;
        for (var time = 0; time < Math.Min(times, most); time++) tally.Times.Enqueue(known.Awake);
        while (tally.Times.Count > most) tally.Times.Dequeue();
    }

    /// <summary>It failed there as often as the file allows, all within its window.</summary>
    public bool IsExhausted(ServiceSpec service, NodeName node) =>
        service.Placement.MaxFailures is { } most && tallies.TryGetValue((service.Name, node), out var tally)
        && tally.Times.Count >= most && known.Awake - tally.Times.Peek() < service.Placement.FailureWindow;

    /// <summary>How long it has not come back after its last failure; zero while it is not failed.</summary>
    public TimeSpan FailedFor(ServiceSpec service, NodeName node) =>
        tallies.TryGetValue((service.Name, node), out var tally) && tally.FailedSince is { } since ? known.Awake - since : TimeSpan.Zero;

    /// <summary>An operator has mended what was wrong there.</summary>
    public void Forgive(NodeName node)
    {
        foreach (var key in tallies.Keys.Where(key => key.Item2 == node).ToList()) tallies[key].Times.Clear();
    }
}
