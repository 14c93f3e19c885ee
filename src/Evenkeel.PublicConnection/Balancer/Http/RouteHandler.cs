using System.Net;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Carries requests of one door to its destinations. An attempt that failed is repeated elsewhere when that is safe: always
/// when no connection came about (nothing was sent), and for idempotent requests without a body as long as the answer has not
/// begun. A request that is not idempotent is never sent twice once any of it was sent.
/// </summary>
internal sealed class RouteHandler(IHttpForwarder forwarder, HttpMessageInvoker client)
{
    private const int MostAttempts = 4;

    /// <summary>
    /// A destination that has said nothing at all for this long, neither to this request nor to a check, may be hung or cut off:
    /// an idempotent request goes elsewhere. A slow answer from a destination that still answers others is waited for.
    /// </summary>
    private static readonly TimeSpan Suspicion = TimeSpan.FromMilliseconds(250);

    private static readonly ForwarderRequestConfig Config = new() { ActivityTimeout = TimeSpan.FromSeconds(100) };

    private volatile Route _route = new([], new DestinationChoice(BalancePolicy.TwoChoices));

    public IReadOnlyList<Upstream> Upstreams => _route.Upstreams;

    public void Use(IReadOnlyList<Upstream> upstreams, BalancePolicy policy) => _route = new Route(upstreams, new DestinationChoice(policy));

    public async Task HandleAsync(HttpContext context)
    {
        var route = _route;
        var repeatable = IsRepeatable(context.Request);
        var tried = new List<Upstream>();
        while (!context.RequestAborted.IsCancellationRequested)
        {
            if (route.Choice.Choose(route.Upstreams, tried) is not { } upstream)
            {
                await RefuseAsync(context).ConfigureAwait(false);
                return;
            }

            var error = await AttemptAsync(context, upstream, repeatable && tried.Count + 1 < MostAttempts).ConfigureAwait(false);
            if (error == ForwarderError.None || context.Response.HasStarted)
            {
                return;
            }

            tried.Add(upstream);
            if (tried.Count >= MostAttempts || !(repeatable || NothingWasSent(context, error)))
            {
                return; // the forwarder has set 502 or 504
            }

            context.Response.Clear();
            context.Features.Set<IForwarderErrorFeature>(null);
            route = _route;
        }
    }

    private async Task<ForwarderError> AttemptAsync(HttpContext context, Upstream upstream, bool mayGoElsewhere)
    {
        using var attempt = CancellationTokenSource.CreateLinkedTokenSource(upstream.Down, context.RequestAborted);
        var transformer = new AttemptTransformer(upstream, attempt);
        using var suspicion = mayGoElsewhere ? new Timer(_ => transformer.Suspect(Suspicion), null, Suspicion, Suspicion / 5) : null;
        upstream.Begin();
        var error = ForwarderError.RequestCanceled;
        try
        {
            error = await forwarder.SendAsync(context, upstream.Prefix, client, Config, transformer, attempt.Token).ConfigureAwait(false);
        }
        finally
        {
            upstream.End(error != ForwarderError.None);
        }

        return error;
    }

    /// <summary>RFC 9110, section 9.2.2, and no body that would have to be kept for a second time.</summary>
    private static bool IsRepeatable(HttpRequest request) =>
        (HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || HttpMethods.IsOptions(request.Method)
            || HttpMethods.IsTrace(request.Method) || HttpMethods.IsPut(request.Method) || HttpMethods.IsDelete(request.Method))
        && request.ContentLength is null or 0 && !request.Headers.ContainsKey("Transfer-Encoding") && !request.Headers.ContainsKey("Upgrade")
        && (!HttpProtocol.IsHttp2(request.Protocol) || HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method));

    private static bool NothingWasSent(HttpContext context, ForwarderError error) =>
        error is ForwarderError.Request
        && context.Features.Get<IForwarderErrorFeature>()?.Exception is HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError,
        };

    private static Task RefuseAsync(HttpContext context)
    {
        context.Response.StatusCode = (int)HttpStatusCode.ServiceUnavailable;
        context.Response.Headers.RetryAfter = "1";
        context.Response.ContentType = "text/plain; charset=utf-8";
        return context.Response.WriteAsync("No server can answer at the moment. Please try again shortly.\n");
    }

    private sealed record Route(IReadOnlyList<Upstream> Upstreams, DestinationChoice Choice);
}
