using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Tcp;

/// <summary>One open door and its counters; the engine accepts from its socket.</summary>
internal sealed class Listener(PublicEndpoint address, Socket socket, BackendPool pool)
{
    private long accepted, unserved;

    public PublicEndpoint Address => address;
    public Socket Socket => socket;
    public IPEndPoint Local { get; } = address.ToIPEndPoint();
    public RoutePool[] Routes => pool.FindAll(address);
    /// <summary>From then on its connections are cut (milliseconds of the tick count); null while it is open.</summary>
    public long? CutAt { get; set; }
    public long Accepted => Volatile.Read(ref accepted);
    public long Unserved => Volatile.Read(ref unserved);

    public void CountAccepted() => Interlocked.Increment(ref accepted);
    /// <summary>A client was let in but no destination could be reached for it.</summary>
    public void CountUnserved() => Interlocked.Increment(ref unserved);

    /// <summary>Whether this peer must begin with a PROXY header.</summary>
    public static bool MustAnnounce(RoutePool[] routes, IPAddress peer)
    {
        foreach (var route in routes)
            foreach (var network in route.Door.AcceptProxyFrom)
                if (network.Contains(peer)) return true;
        return false;
    }
}

/// <summary>Carries connections between clients and destinations. The epoll one and the portable one behave alike.</summary>
internal interface ITcpEngine : IAsyncDisposable
{
    void Open(Listener listener);

    /// <summary>Nothing accepts from the listener's socket any more when it ends; running connections are cut at <see cref="Listener.CutAt"/>.</summary>
    Task CloseAsync(Listener listener);

    /// <summary>Connections to this destination end with a reset, soon.</summary>
    void Cut(Backend backend);

    /// <summary>Connections that came in by this listener end with a reset, soon.</summary>
    void Abandon(Listener listener);

    int Connections { get; }
}
