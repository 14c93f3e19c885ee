using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.EndToEnd.Raid;

/// <summary>A certificate authority and what it issued, as PEM files under the names that gnutls' users know.</summary>
internal sealed class Authority : IDisposable
{
    private readonly X509Certificate2 _own;
    private readonly string _directory;

    public Authority(string directory, string name = "authority")
    {
        _directory = directory;
        Directory.CreateDirectory(directory);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        _own = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
        File.WriteAllText(Path.Combine(directory, "ca-cert.pem"), _own.ExportCertificatePem());
    }

    public void Dispose() => _own.Dispose();

    public string Certificate => Path.Combine(_directory, "ca-cert.pem");

    /// <summary>A directory with <c>ca-cert.pem</c>, <c>client-cert.pem</c> and <c>client-key.pem</c> for a name; good for either end.</summary>
    public string Issue(string name)
    {
        var place = Path.Combine(_directory, name);
        Directory.CreateDirectory(place);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        var serial = new byte[8];
        RandomNumberGenerator.Fill(serial);
        using var issued = request.Create(_own, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(10), serial);
        File.Copy(Certificate, Path.Combine(place, "ca-cert.pem"), overwrite: true);
        File.WriteAllText(Path.Combine(place, "client-cert.pem"), issued.ExportCertificatePem());
        File.WriteAllText(Path.Combine(place, "client-key.pem"), key.ExportPkcs8PrivateKeyPem());
        return place;
    }
}
