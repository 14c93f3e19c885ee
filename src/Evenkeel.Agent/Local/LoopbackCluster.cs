using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Embedded;
using Evenkeel.PrivateConnection.Store.Remote;

namespace Evenkeel.Agent.Local;

/// <summary>
/// A cluster on this machine's loopback addresses, without privileges: what <c>up</c> and <c>demo</c> start. The launcher
/// holds the coordination store and serves it to the agents under mutual TLS. One kernel carries all nodes, so nothing here
/// can cut a network: that is what <c>lab</c> is for.
/// </summary>
public sealed class LoopbackCluster(ClusterSpec spec, string source, string workingDirectory) : MachineCluster(spec, source, workingDirectory)
{
    private static readonly IPAddress LauncherAddress = IPAddress.Parse("127.77.3.1");
    private EmbeddedStore? _store;
    private NodeCertificate? _certificate;
    private StoreServer? _server;

    protected override StoreKind StoreKind => StoreKind.Remote;
    protected override IReadOnlyList<string> StoreEndpoints => [$"{LauncherAddress}:{PrivatePorts.Store}"];
    protected override string? PublicInterface => null;
    protected override bool MappedToLoopback => true;

    /// <summary>Stops agent, guard and services where they stand, as a hung server would.</summary>
    public void Hang(NodeName node) => Nodes[node].SignalAll(Signals.Stop);

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync().ConfigureAwait(false);
        if (_server is not null)
        {
            await _server.DisposeAsync().ConfigureAwait(false);
        }

        if (_store is not null)
        {
            await _store.DisposeAsync().ConfigureAwait(false);
        }

        _certificate?.Dispose();
    }

    protected override IReadOnlyList<string> CommandPrefix(NodeName node) => [];

    protected override async Task PrepareAsync(CancellationToken cancellation)
    {
        ClusterInitialState.IssueCertificates(Spec, node => Path.Combine(Directory, node.Value, "tls"));
        _certificate = NodeCertificate.Load(Path.Combine(Directory, ClusterInitialState.Launcher.Value, "tls"));
        _store = EmbeddedStore.Open(Path.Combine(Directory, "store.sqlite"));
        var first = await _store.CommitAsync(ClusterInitialState.First(Spec, Source), cancellation).ConfigureAwait(false);
        if (first.Outcome != CommitOutcome.Committed)
        {
            throw new LocalClusterException($"the coordination store did not take the cluster's first state: {first.Reason ?? first.Outcome.ToString()}");
        }

        try
        {
            _server = new StoreServer(_store, _certificate, new PrivateEndpoint(LauncherAddress, PrivatePorts.Store), _ => { });
        }
        catch (SocketException exception)
        {
            throw new LocalClusterException($"the store cannot listen on {LauncherAddress}:{PrivatePorts.Store} ({exception.Message}); does another cluster run on this machine?");
        }
    }
}
