using System.Net;
using System.Text.Json.Serialization;

namespace Evenkeel.Core.Model;

/// <summary>What the user declared in <c>cluster.yaml</c>: the desired state, validated, names resolved, nothing optional left open.</summary>
public sealed record ClusterSpec
{
    public required string Cluster { get; init; }
    public required NetworksSpec Networks { get; init; }
    public required IReadOnlyDictionary<string, VipSpec> Vips { get; init; }
    public required IReadOnlyDictionary<NodeName, NodeSpec> Nodes { get; init; }
    [JsonIgnore]
    public IEnumerable<NodeName> Voters => Nodes.Values.Where(node => node.Votes).Select(node => node.Name);
    public required IReadOnlyDictionary<string, ServiceSpec> Services { get; init; }
    public IReadOnlyDictionary<string, VolumeSpec> Volumes { get; set; } = new Dictionary<string, VolumeSpec>();
    public Timings Timings { get; set; } = Timings.Default;
    public CoordinationSpec Coordination { get; set; } = new();
    /// <summary>Who is told when something is the matter.</summary>
    public IReadOnlyList<AlertReceiverSpec> Alerts { get; set; } = [];
    /// <summary>Where traces of failovers go; null: nowhere.</summary>
    public TelemetrySpec? Telemetry { get; init; }
    /// <summary>Null: the control API is on the nodes' local sockets alone.</summary>
    public ApiSpec? Api { get; init; }
    /// <summary>What is backed up, when, and where to.</summary>
    public IReadOnlyDictionary<string, BackupSpec> Backups { get; set; } = new Dictionary<string, BackupSpec>();
}

/// <summary>The public network (clients only) and one or more private ones (nodes only), as CIDR.</summary>
public sealed record NetworksSpec(IPNetwork? Public, IReadOnlyList<IPNetwork> Private)
{
    /// <summary>Beside <see cref="Public"/> on the same interfaces: the other family's, as a rule.</summary>
    public IReadOnlyList<IPNetwork> FurtherPublic { get; set; } = [];
    [JsonIgnore]
    public IReadOnlyList<IPNetwork> AllPublic => Public is { } first ? [first, .. FurtherPublic] : [];
}

public enum CoordinationKind { Managed, Embedded, External }

/// <summary>Where the coordination store is: an etcd that we run, the embedded one, or an etcd of the user's.</summary>
public sealed record CoordinationSpec(CoordinationKind Kind = CoordinationKind.Managed, IReadOnlyList<Uri>? Endpoints = null)
{
    /// <summary>External with https: the file on each node with the authorities that its members' certificates may be of.</summary>
    public string? AuthorityFile { get; init; }
    /// <summary>External with https: what this cluster's agents show, and its key; null where none is asked for.</summary>
    public string? CertificateFile { get; init; }
    public string? KeyFile { get; init; }
}

public sealed record VipSpec
{
    public required string Name { get; init; }
    public required IPAddress Address { get; init; }
    /// <summary>Network prefix length with which the address is added; of the one of <c>networks.public</c> that has it.</summary>
    public required int PrefixLength { get; init; }
    /// <summary>VIPs of one group move together.</summary>
    public string? Group { get; init; }
    public IReadOnlyList<NodeName> Prefer { get; set; } = [];
    /// <summary>Null where neighbours learn by ARP or NDP where the address is.</summary>
    public VipHookSpec? Hook { get; init; }
}

/// <summary>
/// A program that tells a network without a shared layer 2 (a cloud's, a routed one) which node has the virtual IP;
/// <c>docs/virtual-ip-hooks.md</c> is its contract.
/// </summary>
public sealed record VipHookSpec(IReadOnlyList<string> Command)
{
    /// <summary>A call that takes longer is killed and has failed.</summary>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromSeconds(20);
    /// <summary>Time between two calls of <c>take</c> while the address is here.</summary>
    public TimeSpan Every { get; set; } = TimeSpan.FromSeconds(30);
}

public enum NodeRole { Full, Witness }

public sealed record NodeSpec
{
    public required NodeName Name { get; init; }
    /// <summary>Null on a node that serves no clients.</summary>
    public IPAddress? Public { get; init; }
    /// <summary>Its addresses beside <see cref="Public"/>, on the same interface.</summary>
    public IReadOnlyList<IPAddress> FurtherPublic { get; set; } = [];
    [JsonIgnore]
    public IReadOnlyList<IPAddress> AllPublic => Public is { } first ? [first, .. FurtherPublic] : [];
    /// <summary>One address for each private link, never empty.</summary>
    public required IReadOnlyList<IPAddress> Private { get; init; }
    public NodeRole Role { get; set; } = NodeRole.Full;
    /// <summary>Whether its guard votes. True unless the file says otherwise.</summary>
    public bool Votes { get; set; } = true;
    public string? Site { get; init; }
    public IReadOnlyDictionary<string, double> Capacity { get; set; } = new Dictionary<string, double>();
    public FenceSpec? Fence { get; init; }
}

/// <summary>A fence agent and its parameters (passed as <c>name=value</c> lines on standard input).</summary>
public sealed record FenceSpec(string Agent, IReadOnlyDictionary<string, string> Parameters)
{
    /// <summary>Waited before the node is cut off, so that of two nodes that fence each other one is faster.</summary>
    public TimeSpan Delay { get; init; }
    /// <summary>An action that takes longer has failed.</summary>
    public TimeSpan TimeLimit { get; set; } = TimeSpan.FromSeconds(60);
    /// <summary>Once it is confirmed off it is switched on again, so that it can come back.</summary>
    public bool PowerOn { get; init; }
    /// <summary>Time between two looks at whether the device still answers.</summary>
    public TimeSpan MonitorEvery { get; set; } = TimeSpan.FromSeconds(60);
    /// <summary>Further levels, tried in order when this device has not confirmed.</summary>
    public IReadOnlyList<FenceSpec> Then { get; set; } = [];
}

public enum Redundancy { Cold, Warm, Hot }
/// <summary>single-active: one owner at a time (exclusive); spread: N instances over the nodes, all active, none exclusive.</summary>
public enum Activity { Spread, SingleActive }

public sealed record ServiceSpec
{
    public static readonly TimeSpan StandardDrainTimeout = TimeSpan.FromSeconds(30);

    public required string Name { get; init; }
    public required Redundancy Redundancy { get; init; }
    public required Activity Activity { get; init; }
    /// <summary>Instances wanted: for hot spread services the number of nodes (every non-witness by default), else 1.</summary>
    public required int Instances { get; init; }
    public required DriverSpec Driver { get; init; }
    public HealthSpec? Health { get; init; }
    public IReadOnlyList<PublishSpec> Publish { get; set; } = [];
    public ObjectivesSpec Objectives { get; set; } = new(null, null);
    /// <summary>Single-active services: what a takeover waits for.</summary>
    public Requirement Requires { get; init; }
    public IReadOnlyList<string> DependsOn { get; set; } = [];
    /// <summary>Spread services: what requests and connections under way may still take where an instance is to stop.</summary>
    public TimeSpan DrainTimeout { get; set; } = StandardDrainTimeout;
    public PlacementSpec Placement { get; set; } = new();
    public IReadOnlyDictionary<string, double> Needs { get; set; } = new Dictionary<string, double>();
    /// <summary>Volumes that it works on: its node is their writer, and it runs while they are mounted there.</summary>
    public IReadOnlyList<MountSpec> Mounts { get; set; } = [];
    /// <summary>The exclusive resource that its active instance owns.</summary>
    [JsonIgnore]
    public ResourceId Resource => IsVolume ? new ResourceId(Name) : ResourceId.Service(Name);
    [JsonIgnore]
    public bool IsVolume => Driver is VolumeDriverSpec;
    /// <summary>The node's leg of the volume gets writes after the answer.</summary>
    public bool HasAsynchronousLeg(NodeName node) => Driver is VolumeDriverSpec { Volume: var volume } && volume.IsAsynchronous(node);
    /// <summary>Somebody looks whether it is healthy: the file's check, or its driver by itself. Of any other, that it runs must do.</summary>
    [JsonIgnore]
    public bool IsChecked => Health is not null || Driver is not ProcessDriverSpec;
    /// <summary>Its data is copied from the active instance to the others, and the cluster keeps account of who has what.</summary>
    [JsonIgnore]
    public bool IsReplicated => Driver is PostgreSqlDriverSpec or VolumeDriverSpec;
    /// <summary>Its standbys run and must be told whom to follow; who has which write is not known of it.</summary>
    [JsonIgnore]
    public bool IsFollowed => Driver is OcfDriverSpec && Activity == Activity.SingleActive && Redundancy != Redundancy.Cold;
    /// <summary>No acknowledged write is on one node alone while a standby follows (redundancy hot).</summary>
    [JsonIgnore]
    public bool IsSynchronous => IsReplicated && Redundancy == Redundancy.Hot;
    /// <summary>How many others each acknowledged write is on, while as many follow.</summary>
    [JsonIgnore]
    public int SynchronousCopies => Driver switch { PostgreSqlDriverSpec postgresql => postgresql.SynchronousStandbys, VolumeDriverSpec volume => volume.Volume.Legs.Count - 1, _ => 0 };
    /// <summary>Without enough copies elsewhere, writes wait.</summary>
    [JsonIgnore]
    public bool IsStrict => Driver is PostgreSqlDriverSpec { Strict: true } or VolumeDriverSpec { Volume.Strict: true };
}

public sealed record ObjectivesSpec(TimeSpan? Rto, TimeSpan? Rpo);

public sealed record PlacementSpec
{
    public IReadOnlyList<NodeName> Prefer { get; set; } = [];
    public IReadOnlyList<NodeName> Avoid { get; set; } = [];
    /// <summary>Services that must share a node with this one.</summary>
    public IReadOnlyList<string> With { get; set; } = [];
    /// <summary>Services that must not share a node with this one.</summary>
    public IReadOnlyList<string> Apart { get; set; } = [];
    /// <summary>How much a running instance's node is favoured over a move; 0 to 1,000,000. No preemption by default.</summary>
    public int Stickiness { get; set; } = 1000;
    /// <summary>Whether the owner goes back to a preferred node by itself.</summary>
    public bool Failback { get; init; }
    /// <summary>So many failures within <see cref="FailureWindow"/> move it away; fewer are mended where it is. Null: the first one moves it.</summary>
    public int? MaxFailures { get; init; }
    /// <summary>How long a failure counts.</summary>
    public TimeSpan FailureWindow { get; set; } = TimeSpan.FromMinutes(10);
}

public enum ProbeKind { None, Http, Tcp, Script, Grpc, Tls }

public sealed record HealthSpec
{
    public required ProbeKind Kind { get; init; }
    /// <summary>Path of an HTTP probe.</summary>
    public string? Path { get; init; }
    /// <summary>Statuses of an HTTP probe that are healthy, both ends included.</summary>
    public int LeastStatus { get; set; } = 200;
    public int GreatestStatus { get; set; } = 399;
    /// <summary>What the answer's body must contain (UTF-8, within its first 64 KiB); null: anything.</summary>
    public string? Contains { get; init; }
    /// <summary>The host that an HTTP probe asks for, and the server name of a TLS probe; null: the instance's address, and none.</summary>
    public string? Host { get; init; }
    /// <summary>The service that a gRPC probe asks for; null: the server as a whole.</summary>
    public string? GrpcService { get; init; }
    /// <summary>Command of a script probe; exit code 0 is healthy.</summary>
    public IReadOnlyList<string>? Command { get; init; }
    public TimeSpan Every { get; set; } = TimeSpan.FromMilliseconds(100);
    public TimeSpan Timeout { get; set; } = TimeSpan.FromMilliseconds(100);
    public int Rise { get; set; } = 2;
    public int Fall { get; set; } = 2;
}

public enum PublishProtocol { Http, Tcp }
public enum BalancePolicy
{
    TwoChoices,
    RoundRobin,
    LeastRequests,
    /// <summary>The same client address always to the same destination, while that is up.</summary>
    SourceHash,
    /// <summary>HTTP: the same value of a header (<see cref="HttpDoorSpec.HashOf"/>) always to the same destination.</summary>
    HeaderHash,
    /// <summary>HTTP: the same value of a cookie always to the same destination.</summary>
    CookieHash,
}

/// <summary>A door to the service: a port of a VIP and how requests there are spread.</summary>
public sealed record PublishSpec
{
    public required string Vip { get; init; }
    public required int Port { get; init; }
    public required PublishProtocol Protocol { get; init; }
    public BalancePolicy Balance { get; set; } = BalancePolicy.TwoChoices;
    /// <summary>Only the owner of a single-active service is a destination.</summary>
    public bool ToPrimary { get; init; }
    /// <summary>Only the standbys of a replicated service are destinations, while any follows: for reading.</summary>
    public bool ToStandbys { get; init; }
    public DoorSpec Door { get; set; } = DoorSpec.Default;

    /// <summary>Every port that the door listens on.</summary>
    public IEnumerable<int> Ports => Door.Http.Tls is { RedirectFrom: { } other } ? [Port, other] : [Port];
}
