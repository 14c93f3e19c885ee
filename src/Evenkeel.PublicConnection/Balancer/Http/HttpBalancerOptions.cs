namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>What the HTTP balancer may be told beside its route table. Every default is safe in front of real traffic.</summary>
public sealed record HttpBalancerOptions
{
    /// <summary>What running requests get to finish when their door closes.</summary>
    public TimeSpan CloseGrace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>How often one request may be tried, the first time included; 1 to 8.</summary>
    public int Attempts { get; init; } = 8;

    /// <summary>
    /// Time to reach a destination by TCP: more than the second after which a kernel repeats a SYN (RFC 6298, 2.1), which is lost where an
    /// instance's accept queue is full. One that answers nothing is left long before, by its silence.
    /// </summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromMilliseconds(1500);

    /// <summary>Silence of a destination (no answer to any request or check) after which, where nothing checks it by HTTP, it is knocked at: when it takes no connection, waiting requests go elsewhere.</summary>
    public TimeSpan UncheckedSilence { get; init; } = TimeSpan.FromMilliseconds(300);

    /// <summary>An exchange in which neither side sends anything for this long ends.</summary>
    public TimeSpan IdleTimeout { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>A destination that came up gets its full share only after this time; zero: at once.</summary>
    public TimeSpan SlowStart { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Largest request body in bytes; null: no limit. A larger one is answered with 413.</summary>
    public long? MaxRequestBodyBytes { get; init; }

    /// <summary>Bodies of idempotent requests up to this many bytes are kept so that the request can be repeated.</summary>
    public int ReplayBodyBytes { get; init; } = 64 * 1024;

    /// <summary>All headers of a request together, in bytes.</summary>
    public int MaxRequestHeadersBytes { get; init; } = 32 * 1024;

    /// <summary>Time to send all headers (slow senders are cut).</summary>
    public TimeSpan RequestHeadersTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Client connections a door may have at once; null: no limit.</summary>
    public long? MaxConnections { get; init; }

    /// <summary>Told what an operator should know, once each: a certificate that cannot be read, for example.</summary>
    public Action<string> Tell { get; init; } = static _ => { };
}
