using System.Net;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.Tests.Transport;

/// <summary>Certificates and authorities that change while they are in use, and on a disk that a crash has left in between.</summary>
public sealed class CertificateRotationTests : IDisposable
{
    private static readonly NodeName n1 = new("n1");
    private readonly TestCluster _cluster = new();
    private readonly CertificateAuthority _next = CertificateAuthority.Create("shop");

    public void Dispose()
    {
        _next.Dispose();
        _cluster.Dispose();
    }

    private static void Renew(NodeCertificate certificate, CertificateAuthority authority)
    {
        using var request = new NodeRequest();
        request.Renew(authority.Sign(request.ToPem(), n1, [IPAddress.Loopback]), certificate.Directory);
        certificate.Reload();
    }

    [Fact]
    public void Reload_RenewedByTheSameAuthority_ShowsTheNewOne()
    {
        var certificate = _cluster.Issue("n1");
        var (before, changes) = (certificate.Own.SerialNumber, 0);
        certificate.Changed += () => changes++;
        Renew(certificate, _cluster.Authority);
        Assert.NotEqual(before, certificate.Own.SerialNumber);
        Assert.Equal((1, _cluster.Authority.Hash), (changes, certificate.Issuer));
        Assert.Null(_cluster.Issue("n2").WhyNot(certificate.Own));
    }

    [Fact]
    public void WhyNot_TwoAuthorities_AcceptsBoth_AndOnlyTheNewOneWhenTheOldIsDropped()
    {
        var (mine, old) = (_cluster.Issue("n1"), _cluster.Issue("n2"));
        CertificatePair.ReplaceAuthorities(mine.Directory, [_cluster.Authority.CertificatePem, _next.CertificatePem]);
        mine.Reload();
        Assert.Equal([_cluster.Authority.Hash, _next.Hash], mine.Trusted);
        Assert.Equal(_cluster.Authority.Hash, mine.Issuer);
        var renewed = _cluster.Issue("n1");
        Renew(renewed, _next);
        Assert.Null(renewed.Issuer);
        Assert.Null(mine.WhyNot(old.Own));
        Assert.Null(mine.WhyNot(renewed.Own));
        CertificatePair.ReplaceAuthorities(mine.Directory, [_next.CertificatePem]);
        mine.Reload();
        Assert.Null(mine.WhyNot(renewed.Own));
        Assert.Contains("not accepted", mine.WhyNot(old.Own), StringComparison.Ordinal);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void Load_CutShortWhileThePairChanged_HasTheNewPair(bool keyWasInPlace)
    {
        var certificate = _cluster.Issue("n1");
        var other = _cluster.Issue("n1");
        string Of(NodeCertificate one, string file) => File.ReadAllText(Path.Combine(one.Directory, file));
        File.WriteAllText(Path.Combine(certificate.Directory, "node.next"), Of(other, NodeCertificate.CertificateFile) + Of(other, NodeCertificate.KeyFile));
        if (keyWasInPlace) File.Copy(Path.Combine(other.Directory, NodeCertificate.KeyFile), Path.Combine(certificate.Directory, NodeCertificate.KeyFile), overwrite: true);
        using var loaded = NodeCertificate.Load(certificate.Directory);
        Assert.Equal(other.Own.SerialNumber, loaded.Own.SerialNumber);
        Assert.True(loaded.Own.HasPrivateKey);
        Assert.False(File.Exists(Path.Combine(certificate.Directory, "node.next")));
        using var pair = X509Certificate2.CreateFromPemFile(Path.Combine(certificate.Directory, NodeCertificate.CertificateFile), Path.Combine(certificate.Directory, NodeCertificate.KeyFile));
    }

    [Fact]
    public void Renew_CertificateOfAnotherKey_IsRefusedAndThePairIsWhole()
    {
        var certificate = _cluster.Issue("n1");
        using var request = new NodeRequest();
        Assert.Throws<InvalidDataException>(() => request.Renew(_cluster.Issue("n1").Own.ExportCertificatePem() + "\n", certificate.Directory));
        using var loaded = NodeCertificate.Load(certificate.Directory);
        Assert.Equal(certificate.Own.SerialNumber, loaded.Own.SerialNumber);
    }

    [Fact]
    public void Sign_LongerThanTheAuthorityLasts_EndsWithIt()
    {
        using var request = new NodeRequest();
        using var issued = X509Certificate2.CreateFromPem(_next.Sign(request.ToPem(), n1, [], TimeSpan.FromDays(36500)));
        Assert.Equal(_next.Ends, new DateTimeOffset(issued.NotAfter));
    }

    [Fact]
    public void DueAt_TwoThirdsOfItsLife_CountedFromWhenItWasSigned()
    {
        var signed = new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Equal(signed.AddDays(60), CertificateRenewal.DueAt(signed.AddDays(-1), signed.AddDays(90)));
        Assert.Equal(signed.AddSeconds(20), CertificateRenewal.DueAt(signed.AddDays(-1), signed.AddSeconds(30)));
        // Of another program, without the day before: due at its end, at the latest.
        Assert.Equal(signed.AddHours(1), CertificateRenewal.DueAt(signed, signed.AddHours(1)));
    }
}
