using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.Raid.Nbd;

/// <summary>How a server treats its clients.</summary>
public sealed record NbdServerOptions
{
    /// <summary>The certificate and what is asked of clients; null = no TLS. With TLS nothing but STARTTLS is answered in plain.</summary>
    public SslServerAuthenticationOptions? Tls { get; init; }

    /// <summary>In place of <see cref="Tls"/>, for who would know the address of a client that is turned away.</summary>
    public Func<EndPoint?, SslServerAuthenticationOptions>? TlsOf { get; init; }

    /// <summary>Whether a client, known by its certificate (null without one), may see and use an export.</summary>
    public Func<X509Certificate?, string, bool> Authorise { get; init; } = (_, _) => true;

    /// <summary>
    /// Looks an export up by the name that a client asks for, beside the fixed ones: for names that carry more than a name. May take
    /// its time, within the handshake's deadline; null is a refusal. Who asks twice in one handshake is answered twice.
    /// </summary>
    public Func<X509Certificate?, string, CancellationToken, Task<INbdExport?>>? Admit { get; init; }

    /// <summary>Clients at the same time; further ones are turned away.</summary>
    public int MaximumClients { get; init; } = 128;

    /// <summary>Requests of one client that are worked on at the same time; further ones wait in its socket.</summary>
    public int MaximumRequests { get; init; } = 64;

    /// <summary>Bytes that the requests of one client may hold at the same time: with <see cref="MaximumClients"/> the ceiling of a server's memory.</summary>
    public long MaximumBytes { get; init; } = 64 << 20;

    /// <summary>A client must have chosen its export by then.</summary>
    public TimeSpan HandshakeDeadline { get; init; } = TimeSpan.FromSeconds(10);
}
