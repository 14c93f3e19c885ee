using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.PublicConnection;

public enum DestinationState
{
    /// <summary>Gets new work.</summary>
    Up,
    /// <summary>Gets no new work; running work ends in peace.</summary>
    Draining,
    /// <summary>Gets none; running work there is cancelled (a silently cut or hung destination would hold it for ever).</summary>
    Down,
}

/// <summary>What a listener speaks; a port that changes it is closed and opened.</summary>
public enum DoorKind { Http, Https, Tcp }

/// <summary>An instance as the balancer sees it, reached over the private connection.</summary>
public sealed record Destination(string Service, NodeName Node, PrivateEndpoint Endpoint, DestinationState State, int Weight = 100);

/// <summary>One door: a port of a VIP, the policy, and the destinations behind it.</summary>
public sealed record Route
{
    public required string Service { get; init; }
    public required string Vip { get; init; }
    public required PublicEndpoint Listen { get; init; }
    public required PublishProtocol Protocol { get; init; }
    public required BalancePolicy Balance { get; init; }
    public required HealthSpec? Health { get; init; }
    /// <summary>Only the owner is a destination: one that is no longer named has lost its right, and connections to it are cut.</summary>
    public bool ToPrimary { get; init; }
    public DoorSpec Door { get; init; } = DoorSpec.Default;
    /// <summary>What a drained or removed destination may still take to finish its running work.</summary>
    public TimeSpan DrainTimeout { get; init; } = ServiceSpec.StandardDrainTimeout;
    public required IReadOnlyList<Destination> Destinations { get; init; }

    /// <summary>Requests are not passed on but told to come by TLS to this port of the same address; null: they are passed on.</summary>
    public int? RedirectPort { get; init; }

    public DoorKind Kind => Protocol == PublishProtocol.Tcp ? DoorKind.Tcp : Door.Http.Tls is null ? DoorKind.Http : DoorKind.Https;

    /// <summary>Every request that comes to the port, whatever its host, path and headers.</summary>
    public bool MeansAll => Door.Http is { Hosts.Count: 0, Paths.Count: 0, Headers.Count: 0 };
}

/// <summary>
/// What the balancer serves, immutable; the loop publishes a new one at each change, and a change disturbs no
/// established connection to a destination that is still up.
/// </summary>
public sealed record RouteTable(long Version, IReadOnlyList<Route> Routes)
{
    public static readonly RouteTable Empty = new(0, []);

    /// <summary>Which kind of listener this address and port needs (all routes of a port are of one); null when nothing is published there.</summary>
    public DoorKind? KindOf(PublicEndpoint listen)
    {
        foreach (var route in Routes)
            if (route.Listen == listen) return route.Kind;
        return null;
    }
}
