using Evenkeel.Core.Membership;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.Loop;

/// <summary>
/// What one agent knows at a step: a copy of the committed state, its peers' beats, its own facts, the time. The parts of
/// the loop read it and add effects; none of them keeps a second copy.
/// </summary>
public sealed class Knowledge(NodeName self, PeerTable peers)
{
    private readonly List<Effect> effects = [];
    private (ClusterSpec? Of, IReadOnlyDictionary<string, ServiceSpec> All) services = (null, new Dictionary<string, ServiceSpec>());

    public NodeName Self => self;
    internal LoopRules Rules { get; init; } = LoopRules.All;
    public PeerTable Peers => peers;
    public ClusterState State { get; internal set; } = ClusterState.Empty;
    /// <summary>False until the store was read for the first time: nothing is started, stopped or released before.</summary>
    public bool HasState { get; internal set; }
    public bool StoreReachable { get; internal set; }
    public Instant Now { get; internal set; }
    /// <summary>Time that this agent was awake; see <see cref="AwakeClock"/>.</summary>
    public TimeSpan Awake { get; internal set; }
    /// <summary>What the next beat will say of this node.</summary>
    public NodeFacts Own { get; internal set; } = new();
    /// <summary>Backup tasks whose time has come, by this host's calendar.</summary>
    public IReadOnlyList<Backups.DueBackup> DueBackups { get; internal set; } = [];
    /// <summary>Something changed that peers should not wait a whole beat for.</summary>
    public bool BeatSoon { get; internal set; }

    public ClusterSpec? Spec => State.Spec?.Value;

    /// <summary>What is to be kept running: the file's services, and its volumes under their resources' ids. Empty before there is a spec.</summary>
    public IReadOnlyDictionary<string, ServiceSpec> Services
    {
        get
        {
            if (ReferenceEquals(services.Of, Spec)) return services.All;
            Dictionary<string, ServiceSpec> all = new(Spec?.Services ?? new Dictionary<string, ServiceSpec>(), StringComparer.Ordinal);
            foreach (var volume in Spec?.Volumes.Values ?? []) all.Add(ResourceId.Volume(volume.Name).Value, volume.AsService(UserOf(volume.Name)?.Mounts.First(mount => mount.Volume == volume.Name).Path));
            services = (Spec, all);
            return all;
        }
    }

    /// <summary>The service or volume that the resource belongs to; null for a virtual IP, and for what the file no longer has.</summary>
    public ServiceSpec? ServiceOf(ResourceId resource) => resource.IsRun ? Services.GetValueOrDefault(resource.Instance) : null;

    /// <summary>The service that works on the volume; null when none does.</summary>
    public ServiceSpec? UserOf(string volume) => Spec?.Services.Values.FirstOrDefault(service => service.Mounts.Any(mount => mount.Volume == volume));

    public Timings Timings => Spec?.Timings ?? Timings.Default;
    public bool IsAlive(NodeName node) => peers.IsAlive(node);

    /// <summary>More than half of the voters live, as far as this node hears (where an agent only restarts, its guard votes on): leases can be renewed.</summary>
    public bool HearsVoters
    {
        get
        {
            List<NodeName> voters = [.. Spec?.Voters ?? []];
            return voters.Count(voter => IsAlive(voter) || IsAway(voter)) * 2 > voters.Count;
        }
    }

    /// <summary>The node's own facts as last heard; null when never heard.</summary>
    public NodeFacts? FactsOf(NodeName node) => node == self ? Own : peers.Find(node)?.Last?.Facts;

    public NodeMode ModeOf(NodeName node) => State.Nodes.TryGetValue(node, out var record) ? record.Value.Mode : NodeMode.Active;

    /// <summary>Which nodes are committed to have every acknowledged write of a replicated service; null before its first owner said so.</summary>
    public Versioned<SyncSet>? SyncSetOf(string service) => State.SyncSets.TryGetValue(service, out var record) ? record : null;

    /// <summary>It was to be cut off because it was lost, and is heard again: nothing that it says of itself speaks for cutting it off.</summary>
    public bool IsSpared(FenceRecord record) => !record.ByOperator && IsAlive(record.Node)
        && FactsOf(record.Node) is { } facts && facts.Instances.All(instance => instance.Status != InstanceStatus.Stuck);

    /// <summary>What the node said last it said after it had seen the store's revision.</summary>
    public bool HasSeen(NodeName node, long revision) =>
        node == self || (peers.Find(node)?.Last is { } beat && beat.Incarnation == State.Incarnation && beat.Revision >= revision);

    /// <summary>The node is cut off or shall be; null when not, or when the record is of before a restore of the store.</summary>
    public FenceRecord? FenceOf(NodeName node) =>
        State.Fences.TryGetValue(node, out var record) && record.Value.Incarnation == State.Incarnation ? record.Value : null;

    /// <summary>Its agent said that it restarts, and is silent since: what its guard holds runs on, for as long as a guard waits for an agent.</summary>
    public bool IsAway(NodeName node) => node != self && peers.Find(node) is { Alive: false, Last.Facts.Restarting: true } peer && Awake - peer.Since < Timings.AgentAbsence;

    /// <summary>The instance as its node reports it, if that node lives; as it was, while its agent restarts.</summary>
    /// <summary>A balancer of this or another living node still has requests or connections with this instance, which gets no new ones.</summary>
    public bool IsFinishing(string service, NodeName node) =>
        Own.Finishing.Contains(new(service, node)) || Spec?.Nodes.Keys.Any(peer => IsAlive(peer) && FactsOf(peer)?.Finishing.Contains(new(service, node)) == true) == true;

    public InstanceFacts? LiveInstance(NodeName node, string service) =>
        IsAlive(node) || IsAway(node) ? FactsOf(node)?.Instances.FirstOrDefault(instance => instance.Service == service) : null;

    /// <summary>The service is not to be tried on the node: another try there, or anywhere, gives the same answer.</summary>
    public bool IsBanned(string service, NodeName node) => LiveInstance(node, service) is { Ban: not Ban.None }
        || (Spec?.Nodes.Keys.Any(other => LiveInstance(other, service) is { Ban: Ban.Everywhere }) ?? false);

    public void Add(Effect effect) => effects.Add(effect);

    /// <summary>More is to be done at this step than to beat.</summary>
    internal bool HasDeeds => effects.Any(effect => effect is not (SendBeat or ToGuard { Message: LoopBeat }));

    public void Announce(
        AnnouncementKind kind, string words, ResourceId? resource = null, NodeName? node = null, Epoch? epoch = null, string? service = null) =>
        effects.Add(new Announce(new Announcement(kind, words, resource, node, epoch, Now) { Service = service }));

    internal IReadOnlyList<Effect> TakeEffects()
    {
        if (effects.Count == 0) return [];
        Effect[] taken = [.. effects];
        effects.Clear();
        return taken;
    }
}
