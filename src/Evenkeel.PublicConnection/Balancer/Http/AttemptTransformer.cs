using Microsoft.AspNetCore.Http;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// One attempt: sets the headers that tell the destination who asked (anything a client claims there is dropped), and notes
/// when the answer begins, after which the attempt is no longer suspected.
/// </summary>
internal sealed class AttemptTransformer(Upstream upstream, CancellationTokenSource attempt) : HttpTransformer
{
    private static readonly string[] Claimed = ["Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix", "X-Real-IP"];
    private volatile bool _answered;

    /// <summary>Gives the attempt up when nothing at all has come from the destination for <paramref name="silence"/>.</summary>
    public void Suspect(TimeSpan silence)
    {
        if (_answered || upstream.Silence < silence)
        {
            return;
        }

        try
        {
            attempt.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended at this very moment.
        }
    }

    public override async ValueTask TransformRequestAsync(HttpContext httpContext, HttpRequestMessage proxyRequest, string destinationPrefix, CancellationToken cancellationToken)
    {
        await base.TransformRequestAsync(httpContext, proxyRequest, destinationPrefix, cancellationToken).ConfigureAwait(false);
        foreach (var name in Claimed)
        {
            proxyRequest.Headers.Remove(name);
        }

        if (httpContext.Connection.RemoteIpAddress is { } client)
        {
            proxyRequest.Headers.TryAddWithoutValidation("X-Forwarded-For", client.ToString());
        }

        proxyRequest.Headers.TryAddWithoutValidation("X-Forwarded-Proto", httpContext.Request.Scheme);
        if (httpContext.Request.Host.HasValue)
        {
            proxyRequest.Headers.TryAddWithoutValidation("X-Forwarded-Host", httpContext.Request.Host.Value);
            // The service sees the name that the client asked for, not our private address.
            proxyRequest.Headers.Host = httpContext.Request.Host.Value;
        }
    }

    public override ValueTask<bool> TransformResponseAsync(HttpContext httpContext, HttpResponseMessage? proxyResponse, CancellationToken cancellationToken)
    {
        if (proxyResponse is not null)
        {
            _answered = true;
            upstream.OnSign();
        }

        return base.TransformResponseAsync(httpContext, proxyResponse, cancellationToken);
    }
}
