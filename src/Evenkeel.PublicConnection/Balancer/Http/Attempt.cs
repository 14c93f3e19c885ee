using System.Net.Http;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

internal enum CancelReason
{
    None,
    /// <summary>The destination is lost.</summary>
    Down,
    /// <summary>The destination answers nobody; another one may.</summary>
    Silent,
    /// <summary>A drained destination's deadline passed.</summary>
    DrainDeadline,
    /// <summary>Neither side has sent anything for too long.</summary>
    Idle,
    /// <summary>The client has gone.</summary>
    ClientLeft,
}

/// <summary>One sending of a request to one destination, cancellable by itself. Also the transformer of its headers.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA1001:Types that own disposable fields should be disposable",
    Justification = "No timer and no wait handle is ever asked of it; disposed, a late Cancel by the watch would throw.")]
internal sealed class Attempt(Backend backend, RoutePool route, bool repeatable, bool isRetry, bool mayGoElsewhere)
    : HttpTransformer, ISendWitness
{
    private readonly CancellationTokenSource cancellation = new();
    private volatile bool headersReceived;
    private int sent;
    private long lastMoved = long.MaxValue;

    // Links of the destination's list of attempts; owned by it.
    public Attempt? Next;
    public Attempt? Previous;

    public Backend Backend => backend;
    public RoutePool Route => route;
    public bool IsRetry => isRetry;
    public long StartedAt { get; } = Environment.TickCount64;
    private readonly long startedStamp = System.Diagnostics.Stopwatch.GetTimestamp();
    public CancellationToken Token => cancellation.Token;
    public CancelReason CancelledBy { get; private set; }
    public bool HeadersReceived => headersReceived;
    /// <summary>False when not even a connection could be made.</summary>
    public bool Reached { get; set; } = true;
    public bool Sent => Volatile.Read(ref sent) != 0;

    /// <summary>Another destination could take it over now: it is idempotent, or nothing of it has left.</summary>
    public bool MayGoElsewhere => mayGoElsewhere && !headersReceived && (repeatable || !Sent);

    /// <summary>When anything was last carried, in milliseconds of <see cref="Environment.TickCount64"/>; where somebody else looks after that, never.</summary>
    public long LastMoved => Volatile.Read(ref lastMoved);

    public void Moved() => Volatile.Write(ref lastMoved, Environment.TickCount64);

    public void ClientLeft()
    {
        if (CancelledBy == CancelReason.None) CancelledBy = CancelReason.ClientLeft;
        cancellation.Cancel();
    }

    public bool BeginSending() => Interlocked.Exchange(ref sent, 1) == 0;

    public void Cancel(CancelReason reason)
    {
        // A non-idempotent request may have begun to leave since it was picked: then only a lost destination ends it.
        if (reason == CancelReason.Silent && !repeatable && !BeginSending()) return;
        if (CancelledBy == CancelReason.None) CancelledBy = reason;
        cancellation.Cancel();
    }

    public override async ValueTask TransformRequestAsync(
        HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken).ConfigureAwait(false);
        HopByHop.Remove(httpContext.Request, proxyRequest);
        ForwardedHeaders.Apply(httpContext, proxyRequest, route.Door.Http.TrustForwardedFrom);
        if (repeatable) return;
        // With 100-continue the headers leave before the body that marks the sending; the client is asked to go on by Kestrel.
        proxyRequest.Headers.ExpectContinue = null;
        proxyRequest.Options.Set(SendOnceHandler.Witness, this);
    }

    public override async ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is not null)
        {
            headersReceived = true;
            backend.Answered((int)proxyResponse.StatusCode, System.Diagnostics.Stopwatch.GetElapsedTime(startedStamp));
        }
        var goesOn = await base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken).ConfigureAwait(false);
        if (proxyResponse is not null && route.Door.Http.Sticky is { } sticky) StickyCookie.Write(httpContext, sticky, backend);
        return goesOn;
    }
}
