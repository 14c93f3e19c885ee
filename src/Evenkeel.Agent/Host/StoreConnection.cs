using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;
using Evenkeel.PrivateConnection.Store.Remote;

namespace Evenkeel.Agent.Host;

/// <summary>The coordination store that the agent's configuration names.</summary>
internal static class StoreConnection
{
    /// <exception cref="InvalidDataException">The configuration names none, or one that cannot be.</exception>
    public static ICoordinationStore Open(AgentConfiguration configuration, NodeCertificate certificate, Action<string> log)
    {
        if (configuration.StoreEndpoints.Count == 0)
        {
            throw new InvalidDataException("the agent's configuration names no store endpoint");
        }

        return configuration.Store switch
        {
            StoreKind.Remote => new RemoteStore(Endpoint(configuration.StoreEndpoints[0]), certificate, log),
            StoreKind.Etcd => new EtcdStore(configuration.Cluster,
                [.. configuration.StoreEndpoints.Select(endpoint => new EtcdEndpoint(Endpoint(endpoint)))], certificate, log),
            StoreKind.External => new EtcdStore(configuration.Cluster,
                [.. configuration.StoreEndpoints.Select(endpoint => new EtcdEndpoint(Endpoint(endpoint), Tls: configuration.StoreTls))], null, log),
            _ => throw new InvalidDataException($"this build has no {configuration.Store} store"),
        };
    }

    private static PrivateEndpoint Endpoint(string text) => IPEndPoint.TryParse(text, out var endpoint)
        ? new PrivateEndpoint(endpoint.Address, endpoint.Port)
        : throw new InvalidDataException($"'{text}' is no store endpoint (ADDRESS:PORT)");
}
