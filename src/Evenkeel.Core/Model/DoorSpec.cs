using System.Net;

namespace Evenkeel.Core.Model;

public enum ProxyProtocol { None, V1, V2 }

/// <summary>What a door asks of its clients and tells its destinations, for HTTP and TCP alike. Every limit left out is none.</summary>
public sealed record DoorSpec
{
    public static readonly DoorSpec Default = new();

    /// <summary>What only HTTP knows.</summary>
    public HttpDoorSpec Http { get; set; } = HttpDoorSpec.Default;

    /// <summary>Server names (TLS SNI) for which this service is meant; empty: every client that no other service of the port names. <c>*.example.org</c> is every name one label longer.</summary>
    public IReadOnlyList<string> Sni { get; set; } = [];
    /// <summary>What each destination is told of the client, before anything else.</summary>
    public ProxyProtocol SendProxy { get; init; }
    /// <summary>Peers that must begin with a PROXY header; all others' bytes are taken as they are.</summary>
    public IReadOnlyList<IPNetwork> AcceptProxyFrom { get; set; } = [];
    /// <summary>Clients that may connect; empty: all.</summary>
    public IReadOnlyList<IPNetwork> Allow { get; set; } = [];
    /// <summary>Clients that may not, stronger than <see cref="Allow"/>.</summary>
    public IReadOnlyList<IPNetwork> Deny { get; set; } = [];
    /// <summary>Client connections at once.</summary>
    public int? MaxConnections { get; init; }
    public int? MaxConnectionsPerAddress { get; init; }
    /// <summary>Work at once at each destination: connections (TCP) or requests (HTTP); more waits.</summary>
    public int? MaxPerDestination { get; init; }
    /// <summary>How much may wait for a destination at once.</summary>
    public int MaxWaiting { get; set; } = 1000;
    /// <summary>How long it may wait.</summary>
    public TimeSpan WaitTimeout { get; set; } = TimeSpan.FromSeconds(5);
    /// <summary>New connections (TCP) or requests (HTTP) per second and client address, on average.</summary>
    public double? RatePerAddress { get; init; }
    /// <summary>How many may come at once before the rate counts.</summary>
    public int RateBurst { get; set; } = 100;
    /// <summary>Share of the work of each node, 1 to 1000; 100 for nodes not named.</summary>
    public IReadOnlyDictionary<NodeName, int> Weights { get; set; } = new Dictionary<NodeName, int>();
}
