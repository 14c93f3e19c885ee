namespace Evenkeel.Core.Model;

/// <summary>PEM files on every node: the server's certificate followed by its intermediates, and its private key.</summary>
public sealed record CertificateFiles(string Certificate, string Key);

/// <summary>A door that ends TLS (1.2 and 1.3, RFC 8446).</summary>
public sealed record TlsSpec
{
    /// <summary>Chosen by the name that the client asks for; the first when none fits.</summary>
    public required IReadOnlyList<CertificateFiles> Certificates { get; init; }
    /// <summary>TLS 1.3 only.</summary>
    public bool Only13 { get; init; }
    /// <summary>HTTP/2 is offered beside HTTP/1.1 (ALPN, RFC 7301).</summary>
    public bool Http2 { get; set; } = true;
    /// <summary>How long browsers shall come by TLS only (RFC 6797); null: they are not told.</summary>
    public TimeSpan? Hsts { get; init; }
    /// <summary>A port of the same virtual IP whose requests are sent here (308).</summary>
    public int? RedirectFrom { get; init; }
    /// <summary>A PEM file of authorities; clients must have a certificate of one of them. Null: clients need none.</summary>
    public string? ClientAuthorities { get; init; }
}
