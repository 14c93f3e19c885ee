using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Evenkeel.PublicConnection.Balancer.Tls;

/// <summary>A certificate with its chain and key, ready to be shown, and the names that it is for.</summary>
internal sealed class ServerCertificate
{
    private readonly string[] names;

    private ServerCertificate(SslStreamCertificateContext context, string[] names) => (Context, this.names) = (context, names);

    public SslStreamCertificateContext Context { get; }

    /// <summary>From PEM texts: the certificate, then its intermediates; the key apart.</summary>
    /// <exception cref="CryptographicException">It is no PEM, or no key that we know.</exception>
    /// <exception cref="ArgumentException">The key is another certificate's.</exception>
    public static ServerCertificate Read(ReadOnlySpan<byte> certificatePem, ReadOnlySpan<byte> keyPem)
    {
        var text = Encoding.UTF8.GetString(certificatePem);
        var certificate = X509Certificate2.CreateFromPem(text, Encoding.UTF8.GetString(keyPem));
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(text);
        if (chain.Count > 0) chain.RemoveAt(0);
        // Offline: nothing is fetched while a client waits.
        return new ServerCertificate(SslStreamCertificateContext.Create(certificate, chain, offline: true), NamesOf(certificate));
    }

    /// <summary>2: it has this very name. 1: a wildcard covers it. 0: neither.</summary>
    public int Fits(string name)
    {
        var best = 0;
        foreach (var own in names)
        {
            if (string.Equals(own, name, StringComparison.OrdinalIgnoreCase)) return 2;
            if (Tcp.Routing.Covers(own, name)) best = 1;
        }
        return best;
    }

    private static string[] NamesOf(X509Certificate2 certificate)
    {
        string[] alternative = [.. certificate.Extensions.OfType<X509SubjectAlternativeNameExtension>().SelectMany(extension => extension.EnumerateDnsNames())];
        return alternative.Length > 0 ? alternative : [certificate.GetNameInfo(X509NameType.DnsName, forIssuer: false)];
    }
}
