using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>An authority of the test's own and PEM files that it has signed, in a directory that goes away.</summary>
internal sealed class TestCertificates : IDisposable
{
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("evenkeel-tls-");
    private readonly ECDsa authorityKey = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 authority;
    private int serial;

    public TestCertificates()
    {
        var request = new CertificateRequest("CN=test authority", authorityKey, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        authority = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-1), DateTimeOffset.UtcNow.AddDays(30));
    }

    public string AuthorityFile
    {
        get
        {
            var file = Path.Combine(directory.FullName, "authority.pem");
            File.WriteAllText(file, authority.ExportCertificatePem());
            return file;
        }
    }

    public CertificateFiles Files(string file) => new(Path.Combine(directory.FullName, file + ".pem"), Path.Combine(directory.FullName, file + ".key"));

    /// <summary>Writes (or writes anew) the pair, for these names.</summary>
    public CertificateFiles Write(string file, params string[] names)
    {
        var files = Files(file);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(key, names, forClients: false);
        File.WriteAllText(files.Certificate, certificate.ExportCertificatePem() + "\n" + authority.ExportCertificatePem());
        File.WriteAllText(files.Key, key.ExportPkcs8PrivateKeyPem());
        return files;
    }

    public X509Certificate2 Client(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var certificate = Sign(key, [name], forClients: true);
        return X509CertificateLoader.LoadPkcs12(certificate.CopyWithPrivateKey(key).Export(X509ContentType.Pkcs12), null);
    }

    public void Dispose()
    {
        authority.Dispose();
        authorityKey.Dispose();
        directory.Delete(recursive: true);
    }

    private X509Certificate2 Sign(ECDsa key, string[] names, bool forClients)
    {
        var request = new CertificateRequest("CN=" + names[0], key, HashAlgorithmName.SHA256);
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (var name in names) alternatives.AddDnsName(name);
        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(forClients ? "1.3.6.1.5.5.7.3.2" : "1.3.6.1.5.5.7.3.1")], false));
        return request.Create(authority, DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(10), [1, (byte)++serial]);
    }
}
