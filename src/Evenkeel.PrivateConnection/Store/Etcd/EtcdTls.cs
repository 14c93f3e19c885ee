using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>TLS with an etcd that Evenkeel did not start: its own authority, and the client certificate that it asks for. PEM files.</summary>
/// <param name="AuthorityFile">May hold several certificates; null: the system's authorities are trusted.</param>
/// <param name="CertificateFile">Null, as <paramref name="KeyFile"/>, where the etcd asks for none.</param>
public sealed record EtcdTls(string? AuthorityFile, string? CertificateFile, string? KeyFile)
{
    /// <exception cref="InvalidDataException">A file is missing or cannot be read; says which.</exception>
    internal SslClientAuthenticationOptions Options()
    {
        try
        {
            // The name is compared as usual; here it is an address, which the member's certificate must have.
            var policy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            if (AuthorityFile is not null)
            {
                policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
                policy.CustomTrustStore.ImportFromPemFile(AuthorityFile);
                if (policy.CustomTrustStore.Count == 0)
                {
                    throw new CryptographicException($"{AuthorityFile} holds no certificate");
                }
            }

            var options = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
            if (CertificateFile is not null && KeyFile is not null)
            {
                using var pem = X509Certificate2.CreateFromPemFile(CertificateFile, KeyFile);
                options.ClientCertificates = [X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null)];
            }

            return options;
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"TLS to the external etcd cannot be set up ({string.Join(", ", new[] { AuthorityFile, CertificateFile, KeyFile }.OfType<string>())}): {exception.Message}");
        }
    }
}
