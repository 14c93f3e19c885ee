using Evenkeel.Core.Loop;
using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Failover;

/// <summary>
/// What a controller remembers between decisions, and may forget without harm: since when something is so. A new
/// controller starts counting anew.
/// </summary>
public sealed class ControllerMemory(Knowledge known)
{
    private static readonly TimeSpan failureMemory = TimeSpan.FromSeconds(30);

    private readonly Dictionary<(ResourceId, NodeName), (Epoch Epoch, TimeSpan At, int Times)> failures = [];
    private readonly Dictionary<(ResourceId, Epoch), TimeSpan> lastHeld = [];
    private readonly Dictionary<(ResourceId, Epoch), TimeSpan> lastHealthy = [];
    private readonly Dictionary<NodeName, TimeSpan> unreadySince = [];
    private readonly Dictionary<NodeName, TimeSpan> steadySince = [];
    private readonly HashSet<(ResourceId, Epoch)> detected = [];

    public FlapWatch Flaps { get; } = new();
    public FailureCount Failures { get; } = new(known);

    /// <summary>Every step, whoever is controller: so that a new one knows already.</summary>
    public void Observe()
    {
        if (known.Spec is not { } spec) return;
        Failures.Observe(spec);
        foreach (var node in spec.Nodes.Keys)
        {
            if (known.FactsOf(node) is { Ready: true }) unreadySince.Remove(node);
            else unreadySince.TryAdd(node, known.Awake);
            if (known.IsAlive(node)) steadySince.TryAdd(node, known.Awake);
            else steadySince.Remove(node);
        }
    }

    public TimeSpan UnreadyFor(NodeName node) => unreadySince.TryGetValue(node, out var since) ? known.Awake - since : TimeSpan.Zero;
    public TimeSpan SteadyFor(NodeName node) => steadySince.TryGetValue(node, out var since) ? known.Awake - since : TimeSpan.Zero;

    public void Failed(ResourceId resource, NodeName node, Epoch epoch)
    {
        if (failures.TryGetValue((resource, node), out var last) && last.Epoch == epoch) return;
        failures[(resource, node)] = (epoch, known.Awake, FailedLately(resource, node) ? last.Times + 1 : 1);
    }

    public bool FailedLately(ResourceId resource, NodeName node) =>
        failures.TryGetValue((resource, node), out var last) && known.Awake - last.At < failureMemory;

    /// <summary>The first failure is mended at once, further ones only each second: else a broken node makes the store busy.</summary>
    public bool MayTryAgain(ResourceId resource, NodeName node) =>
        !failures.TryGetValue((resource, node), out var last) || last.Times < 2 || known.Awake - last.At > TimeSpan.FromSeconds(1);

    /// <summary>Another controller decides: whether what this one had seen is mended it does not learn.</summary>
    public void Deposed() => detected.Clear();

    /// <summary>How long the owner has not held the lease that was committed to it.</summary>
    public TimeSpan NotHeldFor(ResourceId resource, Owner owner) =>
        Since(lastHeld, resource, owner, known.FactsOf(owner.Node)?.Held.Contains(new(resource, owner.Epoch)) ?? false);

    /// <summary>How long the owner's instance has run without passing its checks.</summary>
    public TimeSpan UnhealthyFor(ResourceId resource, Owner owner) =>
        Since(lastHealthy, resource, owner, known.LiveInstance(owner.Node, resource.Instance) is not { Status: InstanceStatus.Running, Health: Health.Unhealthy });

    private TimeSpan Since(Dictionary<(ResourceId, Epoch), TimeSpan> last, ResourceId resource, Owner owner, bool well)
    {
        var key = (resource, owner.Epoch);
        if (!well && last.TryGetValue(key, out var since)) return known.Awake - since;
        if (last.Count > 4096) last.Clear();
        last[key] = known.Awake;
        return TimeSpan.Zero;
    }

    /// <summary>
    /// Stamps the moment at which the cause of a failover was known, once. An owner that got well again before anybody could take over
    /// begins anew: its next trouble is another one.
    /// </summary>
    public void Judged(ResourceId resource, Owner owner, Verdict verdict, string trouble)
    {
        if (verdict != Verdict.MustGo)
        {
            if (detected.Remove((resource, owner.Epoch)))
                known.Announce(AnnouncementKind.Recovered, $"{resource} at {owner}: well again before anybody took over", resource, owner.Node, owner.Epoch);
            return;
        }
        if (detected.Count > 4096) detected.Clear();
        if (!detected.Add((resource, owner.Epoch))) return;
        var silence = known.Peers.Find(owner.Node) is { Alive: false, Last: not null } lost ? known.Awake - lost.HeardAt : (TimeSpan?)null;
        known.Add(new Announce(new Announcement(AnnouncementKind.Detected, $"{resource} at {owner}: {trouble}", resource, owner.Node, owner.Epoch, known.Now) { Ago = silence }));
    }
}
