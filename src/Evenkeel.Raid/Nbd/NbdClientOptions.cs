using System.Net.Security;

namespace Evenkeel.Raid.Nbd;

/// <summary>How a client treats its server.</summary>
public sealed record NbdClientOptions
{
    /// <summary>Every request, and every attempt to connect, has ended or failed by then: NBD itself waits for ever.</summary>
    public TimeSpan Deadline { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Connecting has ended by then; null: as requests.</summary>
    public TimeSpan? ConnectDeadline { get; init; }

    /// <summary>
    /// Whether a request after the connection was lost makes it anew. Without that all that follow fail: of requests that were begun in
    /// an order, the server has carried out the first ones and no later one.
    /// </summary>
    public bool Reconnects { get; init; } = true;

    /// <summary>Certificates for TLS; used when the address asks for it.</summary>
    public SslClientAuthenticationOptions? Tls { get; init; }
}
