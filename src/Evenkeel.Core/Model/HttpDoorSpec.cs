namespace Evenkeel.Core.Model;

/// <summary>What only an HTTP door has. Entries that share a port are told apart by host, path and headers.</summary>
public sealed record HttpDoorSpec
{
    public static readonly HttpDoorSpec Default = new();

    /// <summary>Host names of the requests that are meant; empty: every one. <c>*.example.org</c> is every name one label longer.</summary>
    public IReadOnlyList<string> Hosts { get; init; } = [];
    /// <summary>Beginnings of the path, by whole segments (<c>/api</c> is <c>/api</c> and <c>/api/x</c>, not <c>/apix</c>); empty: every path.</summary>
    public IReadOnlyList<string> Paths { get; init; } = [];
    /// <summary>Headers that a request must all have, with these values; <c>*</c> is any value.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();
    /// <summary>Null: each request is balanced by itself.</summary>
    public StickySpec? Sticky { get; init; }
    /// <summary>Null: requests are not written down.</summary>
    public AccessLogSpec? AccessLog { get; init; }
    /// <summary>Null: plain HTTP.</summary>
    public TlsSpec? Tls { get; init; }
}
