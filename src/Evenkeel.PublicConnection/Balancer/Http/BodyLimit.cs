using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>The largest body that an entry takes: what says that it is larger is refused at once, what turns out to be when it does.</summary>
internal static class BodyLimit
{
    /// <summary>False when it has been refused.</summary>
    public static bool Admits(HttpContext http, long mostBytes)
    {
        if (http.Request.ContentLength > mostBytes)
        {
            // The client would send it all the same.
            if (!HttpProtocol.IsHttp2(http.Request.Protocol)) http.Response.Headers.Connection = "close";
            Refusal.Answer(http, StatusCodes.Status413PayloadTooLarge);
            return false;
        }
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size) size.MaxRequestBodySize = mostBytes;
        // The forwarder would lift it for gRPC.
        http.Features.Set<IHttpMaxRequestBodySizeFeature>(null);
        return true;
    }

    /// <summary>The status that Kestrel's reading of the body ended with, if that is what went wrong.</summary>
    public static int? StatusOf(Exception? failure) => failure switch
    {
        BadHttpRequestException { StatusCode: var status } => status,
        AggregateException several => several.InnerExceptions.Select(StatusOf).FirstOrDefault(status => status is not null),
        { InnerException: { } inner } => StatusOf(inner),
        _ => null,
    };
}
