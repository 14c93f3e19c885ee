namespace Evenkeel.PublicConnection.Balancer.Tcp;

/// <summary>What the TCP balancer may be told beside its route table.</summary>
public sealed record TcpBalancerOptions
{
    /// <summary>Threads that carry connections; one a core by default.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;

    /// <summary>.NET's own sockets instead of epoll and splice, also where those exist. Several times the CPU in bulk.</summary>
    public bool Portable { get; init; }

    /// <summary>Time to reach a destination; then another one is tried.</summary>
    public TimeSpan ConnectTimeout { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>What a client gets to say what routing needs: a PROXY header, a TLS hello.</summary>
    public TimeSpan PrefaceTimeout { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>A destination that came up gets its full share only after this time; zero: at once.</summary>
    public TimeSpan SlowStart { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>What connections get to end when their door closes.</summary>
    public TimeSpan CloseGrace { get; init; } = TimeSpan.FromSeconds(2);
}
