using System.Net;

namespace Evenkeel.Core.Model;

/// <summary>What only an HTTP door has. Entries that share a port are told apart by host, path and headers.</summary>
public sealed record HttpDoorSpec
{
    public static readonly HttpDoorSpec Default = new();

    /// <summary>Host names of the requests that are meant; empty: every one. <c>*.example.org</c> is every name one label longer.</summary>
    public IReadOnlyList<string> Hosts { get; set; } = [];
    /// <summary>Beginnings of the path, by whole segments (<c>/api</c> is <c>/api</c> and <c>/api/x</c>, not <c>/apix</c>); empty: every path.</summary>
    public IReadOnlyList<string> Paths { get; set; } = [];
    /// <summary>Headers that a request must all have, with these values; <c>*</c> is any value.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; set; } = new Dictionary<string, string>();
    /// <summary>Name of the header or cookie that <see cref="BalancePolicy.HeaderHash"/> and <see cref="BalancePolicy.CookieHash"/> go by.</summary>
    public string? HashOf { get; init; }
    /// <summary>Requests at once of this entry; more wait. Null: no limit.</summary>
    public int? MaxRequests { get; init; }
    /// <summary>The largest request body, in bytes; null: no limit.</summary>
    public long? MaxBodyBytes { get; init; }
    /// <summary>All headers of a request together, in bytes; null: the balancer's own limit.</summary>
    public int? MaxHeadBytes { get; init; }
    /// <summary>How long a client may take to send a request's head; null: the balancer's own limit.</summary>
    public TimeSpan? HeadTime { get; init; }
    /// <summary>A file on the balancing node that is shown when no instance can answer; null: the built-in page.</summary>
    public string? MaintenancePage { get; init; }
    /// <summary>Whether an instance is left alone for a while when it fails or drags behind the others.</summary>
    public bool Outliers { get; set; } = true;
    /// <summary>Null: each request is balanced by itself.</summary>
    public StickySpec? Sticky { get; init; }
    /// <summary>Proxies in front of us whose <c>Forwarded</c> and <c>X-Forwarded-*</c> are kept and appended to; all others' are replaced.</summary>
    public IReadOnlyList<IPNetwork> TrustForwardedFrom { get; set; } = [];
    /// <summary>Null: requests are not written down.</summary>
    public AccessLogSpec? AccessLog { get; init; }
    /// <summary>Null: plain HTTP.</summary>
    public TlsSpec? Tls { get; init; }
}
