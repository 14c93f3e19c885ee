using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>The maintenance page: nobody behind the door can serve. 503 with Retry-After, never cached.</summary>
internal static class Unavailable
{
    private static readonly byte[] page = """
        <!doctype html><html lang="en"><meta charset="utf-8"><title>Temporarily unavailable</title>
        <body style="font-family:sans-serif;max-width:32em;margin:4em auto"><h1>Temporarily unavailable</h1>
        <p>No server can answer at this moment. Please try again in a few seconds.</p></body></html>
        """u8.ToArray();

    /// <param name="own">The operator's page; null: ours.</param>
    public static async Task AnswerAsync(HttpContext http, byte[]? own = null)
    {
        var shown = own ?? page;
        var response = http.Response;
        response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        response.Headers.RetryAfter = "1";
        response.Headers.CacheControl = "no-store";
        response.ContentType = "text/html; charset=utf-8";
        response.ContentLength = shown.Length;
        if (!HttpMethods.IsHead(http.Request.Method)) await response.Body.WriteAsync(shown, http.RequestAborted).ConfigureAwait(false);
    }
}
