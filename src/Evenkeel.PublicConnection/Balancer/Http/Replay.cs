using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Whether a request can be sent again as a whole, and its body for that.</summary>
internal readonly struct Replay
{
    private readonly MemoryStream? body;

    private Replay(bool repeatable, MemoryStream? body)
    {
        Repeatable = repeatable;
        this.body = body;
    }

    /// <summary>Idempotent, without a body or with one that is kept here.</summary>
    public bool Repeatable { get; }

    /// <summary>Reads the body of an idempotent request when its declared length is small enough to be kept.</summary>
    public static async ValueTask<Replay> PrepareAsync(HttpContext http, int mostBytes)
    {
        var request = http.Request;
        if (!IsIdempotent(request.Method)) return new(false, null);
        if (http.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody == false) return new(true, null);
        if (request.ContentLength is not { } length || length > mostBytes) return new(false, null);
        var kept = new MemoryStream((int)length);
        await request.Body.CopyToAsync(kept, http.RequestAborted).ConfigureAwait(false);
        kept.Position = 0;
        request.Body = kept;
        return new(true, kept);
    }

    public void Rewind(HttpContext http)
    {
        if (body is null) return;
        body.Position = 0;
        http.Request.Body = body;
    }

    private static bool IsIdempotent(string method) =>
        HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsOptions(method)
        || HttpMethods.IsTrace(method) || HttpMethods.IsPut(method) || HttpMethods.IsDelete(method);
}
