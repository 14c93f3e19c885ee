using System.Diagnostics.CodeAnalysis;
using System.Net.Security;
using System.Security.Authentication;

namespace Evenkeel.Core.PrivateConnection;

/// <summary>A TLS handshake with an instance that ends TLS itself.</summary>
public static class TlsHealth
{
    /// <summary>Null when the handshake completes, else what is wrong in words. Network errors are thrown as <see cref="IOException"/>.</summary>
    /// <param name="connection">To the instance; closed here.</param>
    /// <param name="name">The server name that is asked for; null: none.</param>
    [SuppressMessage("Security", "CA5359:Do Not Disable Certificate Validation", Justification = "It is asked whether it speaks TLS; clients judge its certificate, and nothing is told it here.")]
    public static async Task<string?> CheckAsync(Stream connection, string? name, CancellationToken cancellation)
    {
        await using var tls = new SslStream(connection);
        try
        {
            await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = name ?? "", RemoteCertificateValidationCallback = static (_, _, _, _) => true }, cancellation).ConfigureAwait(false);
            return null;
        }
        catch (AuthenticationException failure)
        {
            return $"no TLS handshake: {failure.Message}";
        }
    }
}
