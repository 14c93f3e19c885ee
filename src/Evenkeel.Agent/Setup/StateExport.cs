using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Setup;

/// <summary>A snapshot of the coordination store, taken now.</summary>
public static class StateExport
{
    /// <summary>Writes it to a file (0600) that must not exist; from which member it is.</summary>
    /// <exception cref="StoreUnavailableException">No member gives one.</exception>
    /// <exception cref="InvalidDataException">The certificates cannot be used.</exception>
    public static async Task<IPEndPoint> TakeAsync(AgentConfiguration configuration, string file, CancellationToken cancellation)
    {
        using var certificate = NodeCertificate.Load(Path.Combine(configuration.StateDirectory, NodeSetup.CertificatesDirectory));
        StoreUnavailableException? last = null;
        // Its own member first; a learner gives none.
        foreach (var endpoint in configuration.StoreEndpoints.Select(IPEndPoint.Parse))
        {
            try
            {
                await EtcdSnapshot.TakeAsync(new EtcdEndpoint(new PrivateEndpoint(endpoint.Address, endpoint.Port)), certificate, file, cancellation).ConfigureAwait(false);
                return endpoint;
            }
            catch (StoreUnavailableException exception)
            {
                last = exception;
            }
        }

        throw last ?? new StoreUnavailableException("no member of the coordination store is known");
    }
}
