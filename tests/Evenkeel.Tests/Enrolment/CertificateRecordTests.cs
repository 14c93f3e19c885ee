using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Model;
using Evenkeel.Tests.Transport;
using Xunit;

namespace Evenkeel.Tests.Enrolment;

/// <summary>Which certificates of a node count: a renewed one leaves the one before to its end, another server's ends it.</summary>
public sealed class CertificateRecordTests : IAsyncDisposable
{
    private static readonly NodeName n1 = new("n1");
    private readonly TestCluster _cluster = new();
    private readonly ModelStore _store = new();
    private readonly EnrolmentKeys _keys = new("shop");

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _cluster.Dispose();
    }

    private RevocationFeed Feed(NodeCertificate certificate) => new(new AgentConfiguration
    {
        Cluster = "shop", Node = n1, StateDirectory = "", ControlSocket = "", GuardSocket = "", Private = [], Store = StoreKind.Etcd, StoreEndpoints = [], WorkingDirectory = "/",
    }, certificate, _store, _ => { });

    private async Task<CertificateRecord> RecordAsync() => EnrolmentKeys.Read((await _store.ReadAsync(_keys.Certificate(n1), default)).Entries.Single())!;

    private async Task<IReadOnlyList<string>> RevokedAsync() => [.. (await _store.ReadAsync(_keys.RevokedPrefix, default)).Entries.Select(entry => EnrolmentKeys.Read(entry)!.Serial)];

    private void Renew(NodeCertificate certificate)
    {
        using var request = new NodeRequest();
        request.Renew(_cluster.Authority.Sign(request.ToPem(), n1, []), certificate.Directory);
        certificate.Reload();
    }

    [Fact]
    public async Task TellOwn_Renewed_RevokesNothingAndRemembersTheOneBefore_ThatARemovalRevokesToo()
    {
        var certificate = _cluster.Issue("n1");
        var feed = Feed(certificate);
        var first = certificate.Own.SerialNumber;
        await feed.TellOwnAsync(TestContext.Current.CancellationToken);
        Renew(certificate);
        var second = certificate.Own.SerialNumber;
        await feed.TellOwnAsync(TestContext.Current.CancellationToken);
        Renew(certificate);
        await feed.TellOwnAsync(TestContext.Current.CancellationToken);
        await feed.TellOwnAsync(TestContext.Current.CancellationToken);
        var record = await RecordAsync();
        Assert.Equal(certificate.Own.SerialNumber, record.Serial);
        Assert.Equal([first, second], record.Earlier.Select(one => one.Serial));
        Assert.Empty(await RevokedAsync());
        Assert.Equal(new[] { first, second, record.Serial }.Select(serial => _keys.RevokedPrefix + serial).Order(), _keys.Revoke(record).Select(write => write.Key).Order());
    }

    [Fact]
    public async Task TellOwn_AnotherServersCertificate_RevokesTheOneBeforeAndAllThatItTookThePlaceOf()
    {
        var before = _cluster.Issue("n1");
        var feed = Feed(before);
        var first = before.Own.SerialNumber;
        await feed.TellOwnAsync(TestContext.Current.CancellationToken);
        Renew(before);
        await feed.TellOwnAsync(TestContext.Current.CancellationToken);
        var after = _cluster.Issue("n1");
        await Feed(after).TellOwnAsync(TestContext.Current.CancellationToken);
        Assert.Equal(new[] { first, before.Own.SerialNumber }.Order(), (await RevokedAsync()).Order());
        Assert.Empty((await RecordAsync()).Earlier);
    }
}
