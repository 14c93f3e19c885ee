using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Store.Etcd;
using Evenkeel.Tests.Store.Conformance;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>The port's whole contract, over three real members.</summary>
[Trait("Peer", "etcd")]
[Trait("Machine", "shared")]
public sealed class EtcdConformanceTests(EtcdTrio trio) : StoreConformance, IClassFixture<EtcdTrio>
{
    private int _opened;

    // Clients of one store, each by way of another member.
    protected override Task<ICoordinationStore> OpenAsync() => Task.FromResult<ICoordinationStore>(trio.Open(_opened++ % 3));

    protected override async Task CompactAsync(long revision)
    {
        using var link = new EtcdMemberLink(new EtcdEndpoint(trio.Members[0].Clients), trio.Certificates[0], _ => { });
        // Physical: answered when it has been done here, not only agreed on.
        await link.Values.CompactAsync(new CompactionRequest { Revision = revision, Physical = true }, EtcdCalls.Options(TimeSpan.FromSeconds(10), Cancel));
    }
}
