using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.Tests.Transport;

public sealed class CertificateTests : IDisposable
{
    private readonly TestCluster _cluster = new();

    public void Dispose() => _cluster.Dispose();

    [Fact]
    public void WhyNot_OwnCluster_IsAcceptedAndNamesTheNode()
    {
        var n1 = _cluster.Issue("n1");
        var n2 = _cluster.Issue("n2");
        Assert.Null(n1.WhyNot(n2.Own));
        Assert.Equal(new NodeName("n2"), NodeCertificate.NameOf(n2.Own));
    }

    [Fact]
    public void WhyNot_ForeignClusterOfTheSameName_IsRefusedInWords()
    {
        using var foreign = new TestCluster();
        var reason = _cluster.Issue("n1").WhyNot(foreign.Issue("n2").Own);
        Assert.Contains("CN=n2", reason, StringComparison.Ordinal);
        Assert.Contains("not accepted", reason, StringComparison.Ordinal);
    }

    [Fact]
    public void WhyNot_Expired_IsRefusedInWords()
    {
        var reason = _cluster.Issue("n1").WhyNot(_cluster.Issue("n2", DateTimeOffset.UtcNow.AddMinutes(-1)).Own);
        Assert.Contains("not within its validity period", reason?.Replace("expired", "not within its validity period", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public void WhyNot_None_IsRefused() => Assert.NotNull(_cluster.Issue("n1").WhyNot(null));

    [Fact]
    public void IssueNode_PrivateKey_IsTheOwnersAlone()
    {
        var n1 = _cluster.Issue("n1");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(n1.Directory, NodeCertificate.KeyFile)));
    }

    [Fact]
    public void Load_SavedAuthority_IssuesMembersOfTheSameCluster()
    {
        var state = Path.Combine(_cluster.Path, "authority");
        _cluster.Authority.Save(state);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(state, CertificateAuthority.KeyFile)));
        using var loaded = CertificateAuthority.Load(state);
        loaded.IssueNode(new NodeName("n9"), [IPAddress.Parse("10.0.0.9")], Path.Combine(state, "n9"));
        using var n9 = NodeCertificate.Load(Path.Combine(state, "n9"));
        Assert.Null(_cluster.Issue("n1").WhyNot(n9.Own));
        loaded.Save(state); // a loaded one can be saved again
    }

    [Fact]
    public void Load_NothingThere_SaysWhere()
    {
        Assert.Contains("/nowhere", Assert.Throws<InvalidDataException>(() => NodeCertificate.Load("/nowhere")).Message, StringComparison.Ordinal);
        Assert.Contains("/nowhere", Assert.Throws<InvalidDataException>(() => CertificateAuthority.Load("/nowhere")).Message, StringComparison.Ordinal);
    }
}
