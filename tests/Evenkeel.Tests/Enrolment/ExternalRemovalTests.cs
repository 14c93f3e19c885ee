using Evenkeel.Agent.Control;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Model;
using Evenkeel.Tests.Store;
using Evenkeel.Tests.Transport;
using Xunit;

namespace Evenkeel.Tests.Enrolment;

/// <summary>With an etcd that is not managed there is no member to take out; the node's certificate counts no more all the same.</summary>
public sealed class ExternalRemovalTests : IAsyncDisposable
{
    private static readonly NodeName s_n1 = new("n1"), s_n2 = new("n2");
    private readonly DirectoryInfo _place = TestDirectory.InMemory("evenkeel-external-");
    private readonly TestCluster _cluster = new();
    private readonly ModelStore _store = new();
    private readonly EnrolmentKeys _keys = new("shop");
    private readonly NodeCertificate _certificate;
    private readonly AuthorityShelf _shelf;
    private int _keysRenewed;
    private bool _departed;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ExternalRemovalTests() => (_certificate, _shelf) = (_cluster.Issue("n1"), new AuthorityShelf(_place.FullName));

    private AgentConfiguration Own => new()
    {
        Cluster = "shop", Node = s_n1, StateDirectory = _place.FullName, ControlSocket = "", GuardSocket = "", Private = ["127.0.0.1"], Store = StoreKind.External, StoreEndpoints = ["https://10.0.0.5:2379"], WorkingDirectory = "/",
    };

    public async ValueTask DisposeAsync()
    {
        await _store.DisposeAsync();
        _certificate.Dispose();
        _cluster.Dispose();
        _place.Delete(recursive: true);
    }

    private Task<Answer<Done>> RenewKeysAsync(CancellationToken cancellation)
    {
        _keysRenewed++;
        return Task.FromResult<Answer<Done>>(new Done("renewed"));
    }

    private NodeRemoval Removal(bool alive = false)
    {
        var trail = new AuditTrail(Path.Combine(_place.FullName, "audit.jsonl"), _ => { });
        var office = new EnrolmentOffice(Own, _certificate, _shelf, () => null, () => null, trail, new RefusalTrail(trail, s_n1, TimeProvider.System, _ => { }), _ => { });
        return new NodeRemoval(Own, null, _store, node => (node == s_n1 || node == s_n2, alive), office, RenewKeysAsync, _ => { });
    }

    private async Task TellAsync(NodeName node, string serial) =>
        Assert.Equal(CommitOutcome.Committed, (await _store.CommitAsync(new Transaction(Guid.NewGuid(), [], [_keys.Put(new CertificateRecord(node, serial, DateTimeOffset.UtcNow))]), Cancel)).Outcome);

    private async Task<IReadOnlyList<string>> RevokedAsync() => [.. (await _store.ReadAsync(_keys.RevokedPrefix, Cancel)).Entries.Select(entry => EnrolmentKeys.Read(entry)!.Serial)];

    [Fact]
    public async Task Remove_RevokesTheCertificate_AndSaysWhatIsNotEvenkeels()
    {
        await TellAsync(s_n2, "AB12");
        var done = (await Removal().RemoveAsync(s_n2, Cancel)).Value!;
        Assert.Contains("AB12 is revoked", done.Message, StringComparison.Ordinal);
        Assert.Contains("external etcd with is yours to revoke", done.Message, StringComparison.Ordinal);
        Assert.Equal(["AB12"], await RevokedAsync());
        Assert.Equal(1, _keysRenewed);
        // Asked again: there is nobody.
        Assert.Contains("nothing is to be removed", (await Removal().RemoveAsync(s_n2, Cancel)).Problem!.Message, StringComparison.Ordinal);
        Assert.Contains("evenkeel status", (await Removal().RemoveAsync(new NodeName("n9"), Cancel)).Problem!.Mend, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Remove_OneThatLives_OrItself_IsRefused()
    {
        await TellAsync(s_n2, "AB12");
        Assert.Contains("n2 lives", (await Removal(alive: true).RemoveAsync(s_n2, Cancel)).Problem!.Message, StringComparison.Ordinal);
        Assert.Contains("cannot remove itself", (await Removal().RemoveAsync(s_n1, Cancel)).Problem!.Message, StringComparison.Ordinal);
        Assert.Empty(await RevokedAsync());
    }

    [Fact]
    public async Task Leave_RevokesItsOwn_WhereTheOtherVotersAreAMajority()
    {
        await TellAsync(s_n1, "CD34");
        using var etcd = new ManagedEtcd(Own, _certificate, () => null, _ => { });
        NodeLeave Leave(params NodeName[] alive) => new(Own, etcd, _certificate, _shelf, _store, () => ([s_n1, s_n2, new NodeName("n3")], alive), () => [], RenewKeysAsync, () => _departed = true, _ => { });
        Assert.Contains("and 2 are needed", (await Leave(s_n1, s_n2).LeaveAsync(Cancel)).Problem!.Message, StringComparison.Ordinal);
        Assert.Empty(await RevokedAsync());
        var done = (await Leave(s_n1, s_n2, new NodeName("n3")).LeaveAsync(Cancel)).Value!;
        Assert.Contains("external etcd with is yours to revoke", done.Message, StringComparison.Ordinal);
        Assert.Equal(["CD34"], await RevokedAsync());
        Assert.False(_departed); // the asker hears of it first
    }
}
