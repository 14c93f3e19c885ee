using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Evenkeel.PublicConnection.Balancer.Tls;

/// <summary>Answers each client's hello as the routes at the door say at that moment.</summary>
internal sealed class Handshake(CertificateShelf shelf, Func<RoutePool[]> routes, Action<string> tell)
{
    private static readonly List<SslApplicationProtocol> both = [SslApplicationProtocol.Http2, SslApplicationProtocol.Http11];
    private static readonly List<SslApplicationProtocol> http1 = [SslApplicationProtocol.Http11];
    private static readonly Oid clientAuthentication = new("1.3.6.1.5.5.7.3.2");

    private string? told;

    /// <summary>Before the first client comes.</summary>
    public void Prepare() => shelf.Fetch(routes().SelectMany(route => route.Door.Http.Tls?.Certificates ?? []));

    /// <exception cref="AuthenticationException">There is nothing to show; the client's connection ends.</exception>
    public ValueTask<SslServerAuthenticationOptions> AnswerAsync(TlsHandshakeCallbackContext client)
    {
        TlsSpec[] here = [.. routes().Select(route => route.Door.Http.Tls).OfType<TlsSpec>()];
        if (here.Length == 0 || shelf.Find(here.SelectMany(tls => tls.Certificates), client.ClientHelloInfo.ServerName) is not { } certificate)
            throw new AuthenticationException("no certificate can be read");
        // Entries of one port agree in all but their certificates: the configuration is checked for that.
        var tls = here[0];
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = certificate.Context,
            EnabledSslProtocols = tls.Only13 ? SslProtocols.Tls13 : SslProtocols.Tls12 | SslProtocols.Tls13,
            ApplicationProtocols = tls.Http2 ? both : http1,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        };
        if (tls.ClientAuthorities is { } file)
        {
            options.ClientCertificateRequired = true;
            options.CertificateChainPolicy = TrustOnly(file);
        }
        return ValueTask.FromResult(options);
    }

    private X509ChainPolicy TrustOnly(string file)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.ApplicationPolicy.Add(clientAuthentication);
        try
        {
            policy.CustomTrustStore.ImportFromPemFile(file);
            if (policy.CustomTrustStore.Count == 0) throw new CryptographicException("there is no certificate in it");
            Volatile.Write(ref told, null);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or CryptographicException)
        {
            // Each client meets it; once is enough.
            if (Interlocked.Exchange(ref told, failure.Message) != failure.Message) tell($"no client can connect: client_ca {file} cannot be used: {failure.Message}");
            throw new AuthenticationException($"the authorities of clients cannot be read: {failure.Message}", failure);
        }
        return policy;
    }
}
