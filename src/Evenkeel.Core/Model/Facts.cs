namespace Evenkeel.Core.Model;

public enum InstanceStatus
{
    Stopped,
    Starting,
    Running,
    Stopping,
    /// <summary>It does not run, though it should.</summary>
    Failed,
    /// <summary>Its stop failed: it may still act, and only fencing its node proves that it does not.</summary>
    Stuck,
}

public enum Health { Unknown, Healthy, Unhealthy }

/// <summary>Where a service is not tried again: another try gives the same answer until somebody changes something.</summary>
public enum Ban
{
    None,
    /// <summary>Something is wrong with this node.</summary>
    Here,
    /// <summary>Something is wrong with the service itself, so that it would fail on every node.</summary>
    Everywhere,
}

/// <summary>What a node observes about one instance that it runs. Travels with every beat.</summary>
public sealed record InstanceFacts(string Service, InstanceStatus Status, Health Health)
{
    /// <summary>The epoch under which an exclusive instance runs.</summary>
    public Epoch? Epoch { get; init; }
    public int? ProcessId { get; init; }
    public int Restarts { get; init; }
    /// <summary>Replication position in bytes (WAL LSN, journal offset), where the service has one.</summary>
    public long? Position { get; init; }
    /// <summary>What is known of its data; null for services that the cluster does not replicate.</summary>
    public ReplicationFacts? Replication { get; init; }
    public string Detail { get; set; } = "";
    /// <summary>How <see cref="Detail"/> begins where it runs with settings that only a restart brings into effect.</summary>
    public const string RestartPending = "a restart is pending";
    /// <summary>The version of the spec that it was started from (<see cref="Loop.Ports.InstanceOrder.Version"/>); zero when this agent does not know.</summary>
    public ulong Version { get; init; }
    /// <summary>It will be stopped soon: balancers send it no new requests.</summary>
    public bool Leaving { get; init; }
    /// <summary>It is not started or promoted here again before a changed spec, a restart or a resume of the node; <see cref="Detail"/> says why.</summary>
    public Ban Ban { get; init; }
    /// <summary>
    /// A standby by an OCF agent: how well it could be promoted, by that agent's word; the higher the better, negative for not at
    /// all. Null where nobody says so: other drivers, and agents before version 5 of the beats.
    /// </summary>
    public int? PromotionScore { get; init; }
    /// <summary>What counts where a resource agent has set no score, and the end of the scale (Pacemaker Explained, promotable clones).</summary>
    public const int NoPromotionScore = -1, InfiniteScore = 1_000_000;

    /// <summary>Something of it runs that a stop will end: of what could not be stopped nobody knows when it will have ended.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public bool MayEnd => Status is InstanceStatus.Starting or InstanceStatus.Running or InstanceStatus.Stopping;

    /// <summary>It runs, and passes its checks where it has any.</summary>
    public bool Serves(ServiceSpec service) => Status == InstanceStatus.Running && (!service.IsChecked || Health == Health.Healthy);
}

/// <summary>What a node observes about itself.</summary>
public sealed record NodeFacts
{
    public IReadOnlyList<InstanceFacts> Instances { get; set; } = [];
    /// <summary>Exclusive resources under a live lease here.</summary>
    public IReadOnlyList<HeldLease> Held { get; set; } = [];
    /// <summary>
    /// Ownerships committed to this node whose lease is over here for ever (ran out, refused, given back): the controller
    /// must grant them anew, with a new epoch.
    /// </summary>
    public IReadOnlyList<HeldLease> Ended { get; set; } = [];
    /// <summary>Zero when no guard is connected.</summary>
    public GuardSession Guard { get; init; }
    /// <summary>True once the node may be given exclusive resources: its guard votes and its listeners are bound, those of <see cref="Shut"/> excepted.</summary>
    public bool Ready { get; init; }
    /// <summary>Carrier and address of the public interface are there.</summary>
    public bool PublicUp { get; set; } = true;
    /// <summary>Seconds since 1970 by this node's wall clock, at most about a second old; zero when not known.</summary>
    public long WallClock { get; init; }
    /// <summary>Doors that could not be opened here: at most one for each virtual IP.</summary>
    public IReadOnlyList<ShutDoor> Shut { get; set; } = [];
    public bool StoreReachable { get; set; } = true;
    public double LoadPerCore { get; init; }
    /// <summary>Instances that get no new work and have requests or connections of this node's balancer still under way.</summary>
    public IReadOnlyList<Carried> Finishing { get; set; } = [];
    /// <summary>The agent is about to end and to come back: it gives its virtual IPs away first, and its services run on meanwhile.</summary>
    public bool Restarting { get; init; }
    /// <summary>The agent's version, such as <c>0.1.0</c>; empty when not known.</summary>
    public string Program { get; set; } = "";
    /// <summary>The newest <see cref="StateFormat"/> that it reads.</summary>
    public int StateFormat { get; set; } = Model.StateFormat.First;

    /// <summary>What of the node itself somebody should see to; decides nothing.</summary>
    public IReadOnlyList<NodeConcern> Concerns { get; set; } = [];

    /// <summary>Equal in everything, lists by their elements.</summary>
    public bool SayTheSameAs(NodeFacts other) =>
        this with { Instances = other.Instances, Held = other.Held, Ended = other.Ended, Finishing = other.Finishing, Shut = other.Shut, Concerns = other.Concerns } == other
        && Instances.SequenceEqual(other.Instances) && Held.SequenceEqual(other.Held) && Ended.SequenceEqual(other.Ended)
        && Finishing.SequenceEqual(other.Finishing) && Shut.SequenceEqual(other.Shut) && Concerns.SequenceEqual(other.Concerns);
}

/// <summary>An instance that a balancer still has something under way with.</summary>
public readonly record struct Carried(string Service, NodeName Node);

/// <summary>Clients of a virtual IP would not be served here as they should.</summary>
/// <param name="Vip">Its name.</param>
/// <param name="What">For people: which address and port, why, and who probably has it.</param>
public sealed record ShutDoor(string Vip, string What);

public sealed record HeldLease(ResourceId Resource, Epoch Epoch);
