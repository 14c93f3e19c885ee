using System.Security.Cryptography.X509Certificates;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.Tests.Transport;

public sealed class RevocationListTests : IDisposable
{
    private readonly TestCluster cluster = new();

    public void Dispose() => cluster.Dispose();

    [Fact]
    public void Add_ACertificate_IsRefusedInWords_AlsoAfterARestart_AndOthersAreNot()
    {
        var n1 = cluster.Issue("n1");
        var n2 = cluster.Issue("n2");
        var n3 = cluster.Issue("n3");
        Assert.Equal(["n2"], n1.Revoked.Add(new Dictionary<string, string> { [n2.Own.SerialNumber] = "n2" }));
        Assert.Empty(n1.Revoked.Add(new Dictionary<string, string> { [n2.Own.SerialNumber] = "n2" }));
        using var restarted = NodeCertificate.Load(n1.Directory);
        Assert.All([n1, restarted], node =>
        {
            Assert.Contains("revoked when n2 was removed", node.WhyNot(n2.Own), StringComparison.Ordinal);
            Assert.Null(node.WhyNot(n3.Own));
        });
    }

    [Fact]
    public void EnsureCrl_WritesAListThatReadersOfX509Understand()
    {
        var n1 = cluster.Issue("n1");
        var n2 = cluster.Issue("n2");
        var file = n1.Revoked.EnsureCrl();
        Assert.False(Load().RemoveEntry(n2.Own.SerialNumberBytes.ToArray()));
        n1.Revoked.Add(new Dictionary<string, string> { [n2.Own.SerialNumber] = "n2" });
        Assert.True(Load().RemoveEntry(n2.Own.SerialNumberBytes.ToArray()));
        Assert.Equal(PrivateFile.OwnerOnly, File.GetUnixFileMode(file));

        CertificateRevocationListBuilder Load() => CertificateRevocationListBuilder.Load(File.ReadAllBytes(file), out _);
    }

    [Theory, InlineData(""), InlineData("null"), InlineData("{\"01\":")]
    public void Load_DamagedList_IsNotForgottenInSilence(string contents)
    {
        var directory = cluster.Issue("n1").Directory;
        File.WriteAllText(Path.Combine(directory, "revoked.json"), contents);
        Assert.Contains("revoked.json", Assert.Throws<InvalidDataException>(() => NodeCertificate.Load(directory)).Message, StringComparison.Ordinal);
    }
}
