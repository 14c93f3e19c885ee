using System.Net.Security;

namespace Evenkeel.Raid.Nbd;

/// <summary>How a client treats its server.</summary>
public sealed record NbdClientOptions
{
    /// <summary>Every request, and every attempt to connect, has ended or failed by then: NBD itself waits for ever.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Certificates for TLS; used when the address asks for it.</summary>
    public SslClientAuthenticationOptions? Tls { get; init; }
}
