using Microsoft.AspNetCore.Http;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>Answers of the door itself to requests that are not passed on; without a body.</summary>
internal static class Refusal
{
    /// <summary>No route of the door is meant.</summary>
    public static void Nothing(HttpContext http) => Answer(http, StatusCodes.Status404NotFound);

    /// <param name="status">403: not from this address. 429: more often than it may (RFC 6585, 4).</param>
    public static void Answer(HttpContext http, int status)
    {
        http.Response.StatusCode = status;
        if (status == StatusCodes.Status429TooManyRequests) http.Response.Headers.RetryAfter = "1";
        http.Response.ContentLength = 0;
    }
}
