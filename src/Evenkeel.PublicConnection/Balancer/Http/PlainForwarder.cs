using System.Net;
using System.Net.Http;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.WebUtilities;
using Yarp.ReverseProxy.Forwarder;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// What <see cref="IHttpForwarder"/> does, for the simplest and by far most frequent requests alone: idempotent, without a body, no upgrade,
/// to an instance by HTTP/1.1. It needs no timer and no cancellation of its own beside the attempt's, and reads the answer's body
/// where Kestrel sends it from. Headers are copied by the same code as there.
/// </summary>
internal static class PlainForwarder
{
    // INTERNAL_ERROR (RFC 9113, 7).
    private const int InternalError = 2;

    public static bool Takes(HttpContext http, bool repeatable) => repeatable && http.Request.Headers.Upgrade.Count == 0
        && !HttpMethods.IsConnect(http.Request.Method) && http.Features.Get<IHttpRequestBodyDetectionFeature>() is { CanHaveBody: false };

    /// <summary>
    /// Throws nothing that is a client's or an instance's doing. After a failure the response is a 502 or 504 that may be replaced, or,
    /// where it has begun, the client's connection (HTTP/2: stream) is ended.
    /// </summary>
    public static async ValueTask<(ForwarderError Error, Exception? Failure)> SendAsync(HttpContext http, Attempt attempt, HttpMessageInvoker client)
    {
        var gone = http.RequestAborted.UnsafeRegister(static state => ((Attempt)state!).ClientLeft(), attempt);
        try
        {
            var request = new HttpRequestMessage { Method = HttpMethod.Parse(http.Request.Method), Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
            await attempt.TransformRequestAsync(http, request, attempt.Backend.Prefix, attempt.Token).ConfigureAwait(false);
            request.RequestUri = RequestUtilities.MakeDestinationAddress(attempt.Backend.Prefix, http.Request.Path, http.Request.QueryString);
            HttpResponseMessage answer;
            try
            {
                answer = await client.SendAsync(request, attempt.Token).ConfigureAwait(false);
            }
            catch (Exception failure) when (BodyCopy.IsOfTheNetwork(failure))
            {
                return Failed(http, attempt, ForwarderError.Request, failure);
            }
            using (answer) return await ReturnAsync(http, attempt, answer).ConfigureAwait(false);
        }
        finally
        {
            // Dispose would wait for a callback that is running.
            gone.Unregister();
        }
    }

    private static async ValueTask<(ForwarderError, Exception?)> ReturnAsync(HttpContext http, Attempt attempt, HttpResponseMessage answer)
    {
        var isHttp2 = HttpProtocol.IsHttp2(http.Request.Protocol);
        try
        {
            // Nobody asked it to change protocols: what follows is no answer.
            if (answer.StatusCode == HttpStatusCode.SwitchingProtocols) throw new InvalidOperationException("101 to a request without Upgrade");
            http.Response.StatusCode = (int)answer.StatusCode;
            if (!isHttp2 && answer.ReasonPhrase != ReasonPhrases.GetReasonPhrase(http.Response.StatusCode))
                http.Features.GetRequiredFeature<IHttpResponseFeature>().ReasonPhrase = answer.ReasonPhrase;
            await attempt.TransformResponseAsync(http, answer, attempt.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is InvalidOperationException or ArgumentException)
        {
            // Something that HTTP does not know, such as a control character in a header.
            return Failed(http, attempt, ForwarderError.ResponseHeaders, failure);
        }
        var (error, trouble) = await BodyCopy.RunAsync(http, attempt, answer.Content).ConfigureAwait(false);
        if (error != ForwarderError.None) return Failed(http, attempt, error, trouble!);
        // Kestrel has trailers for HTTP/2 alone; to HTTP/1.1 they may be left out (RFC 9110, 6.5.1).
        if (isHttp2) await attempt.TransformResponseTrailersAsync(http, answer, attempt.Token).ConfigureAwait(false);
        return (ForwarderError.None, null);
    }

    private static (ForwarderError, Exception) Failed(HttpContext http, Attempt attempt, ForwarderError error, Exception failure)
    {
        if (!http.Response.HasStarted)
        {
            http.Response.Clear();
            http.Response.StatusCode = attempt.CancelledBy == CancelReason.Idle ? StatusCodes.Status504GatewayTimeout : StatusCodes.Status502BadGateway;
        }
        // The client must not take a part for the whole.
        else if (http.Features.Get<IHttpResetFeature>() is { } stream) stream.Reset(InternalError);
        else http.Abort();
        return (error, failure);
    }
}
