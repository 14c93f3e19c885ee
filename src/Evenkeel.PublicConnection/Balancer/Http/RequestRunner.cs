using System.Net.Http;
using Evenkeel.PublicConnection.Balancer.Access;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Carries one request to a destination, and to another one when the first fails and the request may be repeated: always
/// when nothing of it has left, else only if it is idempotent (RFC 9110, 9.2.2), and never once the answer has begun.
/// </summary>
internal sealed class RequestRunner(IHttpForwarder forwarder, BackendPool pool, MaintenancePages pages, HttpBalancerOptions options)
{
    private const int MostAttempts = 8;
    // Between two rounds: who did not answer a moment ago will hardly do so at once.
    private static readonly TimeSpan RoundPause = TimeSpan.FromMilliseconds(50);

    [System.Runtime.CompilerServices.InlineArray(MostAttempts)]
    private struct Tried { private Backend? first; }

    private readonly int attempts = Math.Clamp(options.Attempts, 1, MostAttempts);
    private readonly ForwarderRequestConfig plain = new()
    {
        Version = System.Net.HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact, ActivityTimeout = options.IdleTimeout,
    };
    // gRPC needs HTTP/2 on the way to the instance too; on the private connection that is HTTP/2 with prior knowledge.
    private readonly ForwarderRequestConfig grpc = new()
    {
        Version = System.Net.HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, ActivityTimeout = options.IdleTimeout,
    };

    /// <summary>Returns when the exchange is over; the answer is then set or sent. Throws nothing of the destinations' doing.</summary>
    public async Task RunAsync(HttpContext http, RoutePool route)
    {
        route.Budget.RequestCame();
        var replay = await Replay.PrepareAsync(http, options.ReplayBodyBytes).ConfigureAwait(false);
        var config = IsGrpc(http.Request) ? grpc : plain;
        var tried = new Tried();
        var record = route.Door.Http.AccessLog is null ? null : http.Features.Get<AccessRecord>();
        var key = Choice.RequestKey.Of(http, route);
        var counted = route.Places.Limited;
        var (reached, last) = (false, false);
        try
        {
            for (var number = 0; number < attempts; number++)
            {
                var (backend, refused) = await TakeAsync(http, route, ((ReadOnlySpan<Backend?>)tried)[..number], key, number > 0, counted).ConfigureAwait(false);
                if (backend is null && number > 0 && !refused)
                {
                    // Whoever was tried is asked again before we give up: one that fell silent for a moment may be back by now.
                    await Task.Delay(RoundPause, http.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                    if (http.RequestAborted.IsCancellationRequested) return;
                    (backend, _) = await TakeAsync(http, route, [], key, isRetry: true, counted).ConfigureAwait(false);
                }
                if (backend is null)
                {
                    counted &= number > 0;
                    break;
                }
                if (number > 0)
                {
                    // Who could not even be reached has had no work of it: that is tried again whatever the budget says (a thousand clients at
                    // once are more than an instance's kernel queues).
                    if (last && !route.Budget.TryTake())
                    {
                        backend.Leave();
                        break;
                    }
                    http.Response.Clear();
                    replay.Rewind(http);
                }
                tried[number] = backend;
                record?.Went(backend.Destination.Node);
                var attempt = new Attempt(backend, route, replay.Repeatable, isRetry: number > 0, mayGoElsewhere: number + 1 < attempts);
                if (!await TryAsync(http, attempt, replay.Repeatable, config).ConfigureAwait(false)) return;
                reached |= last = attempt.Reached;
            }
            if (reached || http.Response.HasStarted) return;
            http.Response.Clear();
            await Unavailable.AnswerAsync(http, pages.Find(route.Door.Http.MaintenancePage)).ConfigureAwait(false);
        }
        finally
        {
            if (counted) route.Places.LeaveRoute();
        }
    }

    /// <summary>Enters at the destination that the request goes to next; waits for a place where places are limited.</summary>
    private static ValueTask<(Backend? Backend, bool Refused)> TakeAsync(
        HttpContext http, RoutePool route, ReadOnlySpan<Backend?> tried, ulong? key, bool isRetry, bool counted)
    {
        var seat = isRetry ? null : StickyCookie.Read(http, route);
        if (counted) return route.Places.TakeAsync(new(seat, tried.ToArray(), key, isRetry), http.RequestAborted);
        var backend = seat ?? route.Choose(tried, key);
        backend?.TryEnter(most: null, isRetry);
        return ValueTask.FromResult((backend, false));
    }

    /// <summary>True when it failed in a way that another attempt may mend.</summary>
    private async Task<bool> TryAsync(HttpContext http, Attempt attempt, bool repeatable, ForwarderRequestConfig config)
    {
        var backend = attempt.Backend;
        var client = backend.Client;
        ForwarderError error;
        Exception? failure;
        backend.Begin(attempt);
        try
        {
            if (ReferenceEquals(config, plain) && PlainForwarder.Takes(http, repeatable))
            {
                attempt.Moved();
                (error, failure) = await PlainForwarder.SendAsync(http, attempt, client.Repeatable).ConfigureAwait(false);
            }
            else
            {
                error = await forwarder.SendAsync(http, backend.Prefix, repeatable ? client.Repeatable : client.Once, config, attempt, attempt.Token).ConfigureAwait(false);
                failure = error == ForwarderError.None ? null : http.Features.Get<IForwarderErrorFeature>()?.Exception;
            }
        }
        finally
        {
            backend.End(attempt);
        }
        if (error == ForwarderError.None)
        {
            backend.Succeeded();
            return false;
        }
        if (error == ForwarderError.RequestBodyClient && !http.Response.HasStarted && BodyLimit.StatusOf(failure) is { } status) http.Response.StatusCode = status;
        if (http.RequestAborted.IsCancellationRequested || IsNotTheInstances(error)) return false;
        Blame(backend, attempt, failure);
        if (http.Response.HasStarted || attempt.CancelledBy == CancelReason.Idle) return false;
        return repeatable || attempt.CancelledBy == CancelReason.Silent || !attempt.Sent;
    }

    // Of a request that cannot be made nothing has left, and it cannot be made for the next one either.
    private static bool IsNotTheInstances(ForwarderError error) => error is ForwarderError.RequestCreation or ForwarderError.RequestBodyClient or ForwarderError.ResponseBodyClient
        or ForwarderError.UpgradeRequestClient or ForwarderError.UpgradeResponseClient or ForwarderError.UpgradeActivityTimeout;

    private void Blame(Backend backend, Attempt attempt, Exception? failure)
    {
        // Its connections were thrown away at this very moment; it is being judged already.
        if (failure is ObjectDisposedException) return;
        // What we cancelled ourselves was judged by those who cancelled it.
        if (attempt.CancelledBy != CancelReason.None) backend.Failed();
        else if (failure is HttpRequestException { HttpRequestError: HttpRequestError.ConnectionError } or TaskCanceledException { InnerException: TimeoutException })
        {
            attempt.Reached = false;
            pool.ConnectFailed(backend);
        }
        else pool.RequestFailed(backend);
    }

    private static bool IsGrpc(HttpRequest request) =>
        HttpProtocol.IsHttp2(request.Protocol) && request.ContentType?.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase) == true;
}
