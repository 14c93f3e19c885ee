using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Embedded;
using Evenkeel.PrivateConnection.Store.Remote;

namespace Evenkeel.Tests.Store.Conformance;

public sealed class RemoteStoreConformanceTests : StoreConformance
{
    private readonly DirectoryInfo _directory = TestDirectory.InMemory("evenkeel-store-");
    private EmbeddedStore? _embedded;
    private NodeCertificate? _certificate;
    private StoreServer? _server;

    public override async ValueTask InitializeAsync()
    {
        using var authority = CertificateAuthority.Create("shop");
        authority.IssueNode(new NodeName("n1"), [IPAddress.Loopback], _directory.FullName);
        _certificate = NodeCertificate.Load(_directory.FullName);
        _embedded = EmbeddedStore.Open(Path.Combine(_directory.FullName, "store.db"));
        _server = new StoreServer(_embedded, _certificate, new PrivateEndpoint(IPAddress.Loopback, 0), _ => { });
        await base.InitializeAsync();
    }

    protected override Task<ICoordinationStore> OpenAsync() =>
        Task.FromResult<ICoordinationStore>(new RemoteStore(_server!.Endpoint, _certificate!, _ => { }));

    protected override Task CompactAsync(long revision)
    {
        _embedded!.Forget(revision);
        return Task.CompletedTask;
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        await _server!.DisposeAsync();
        await _embedded!.DisposeAsync();
        _certificate!.Dispose();
        _directory.Delete(recursive: true);
        GC.SuppressFinalize(this);
    }
}
