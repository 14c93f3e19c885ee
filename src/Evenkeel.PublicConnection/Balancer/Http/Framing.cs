using System.Text;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Where a request ends must be beyond doubt (RFC 9112, 6.1, 6.3): whoever stands in front of us, or behind, may read a doubtful one
/// otherwise and take a part of it for a request of its own. Kestrel's reading is safe by itself, but it mends what we rather refuse.
/// </summary>
internal static class Framing
{
    private const string LineFeedSwitch = "Microsoft.AspNetCore.Server.Kestrel.DisableHttp1LineFeedTerminators";
    // Where Kestrel puts a Content-Length that came with a Transfer-Encoding.
    private const string Displaced = "X-Content-Length";

    private static readonly Encoding length = new DigitsOnly();

    /// <summary>A line ends with CR LF. Kestrel asks this of the process, not of a server's options.</summary>
    public static void ForbidBareLineFeeds() => AppContext.SetSwitch(LineFeedSwitch, true);

    /// <summary>
    /// Each byte one character: UTF-8, Latin-1 or neither, a header arrives as it was sent; by default such requests fail. Of a
    /// Content-Length only digits: Kestrel would take <c>+5</c> and send on 5.
    /// </summary>
    public static Encoding? Reading(string header) => header.Equals("Content-Length", StringComparison.OrdinalIgnoreCase) ? length : Encoding.Latin1;

    public static bool IsDoubtful(HttpRequest request)
    {
        if (request.HttpContext.Features.Get<IHttpRequestFeature>()!.RawTarget.AsSpan().ContainsAnyExceptInRange((char)0x21, (char)0xff)) return true;
        // A tunnel past every rule; over HTTP/2 a WebSocket begins so too, and says it (RFC 8441).
        if (HttpMethods.IsConnect(request.Method) && request.HttpContext.Features.Get<IHttpExtendedConnectFeature>() is not { IsExtendedConnect: true, Protocol: "websocket" }) return true;
        if (HttpProtocol.IsHttp2(request.Protocol)) return HasForeignHeader(request.Headers);
        var coding = request.Headers.TransferEncoding;
        if (coding.Count == 0) return false;
        return !HttpProtocol.IsHttp11(request.Protocol) || coding.Count > 1 || !string.Equals(coding[0], "chunked", StringComparison.OrdinalIgnoreCase)
            || request.Headers.ContainsKey(Displaced);
    }

    // RFC 9113, 8.2: what would mean something else, or end early, as a line of HTTP/1.1. Kestrel looks at values and at the worst names.
    private static bool HasForeignHeader(IHeaderDictionary headers)
    {
        foreach (var (name, _) in headers)
            if (!FieldName.IsOne(name)) return true;
        return headers.TransferEncoding.Count > 0 || headers.Upgrade.Count > 0 || headers.KeepAlive.Count > 0 || headers.ContainsKey("Proxy-Connection");
    }

    /// <summary>400, and the connection ends: what follows on it means nothing.</summary>
    public static void Refuse(HttpContext http)
    {
        if (HttpProtocol.IsHttp11(http.Request.Protocol) || HttpProtocol.IsHttp10(http.Request.Protocol)) http.Response.Headers.Connection = "close";
        Refusal.Answer(http, StatusCodes.Status400BadRequest);
    }

    private sealed class DigitsOnly : Encoding
    {
        public override int GetByteCount(char[] chars, int index, int count) => count;
        public override int GetCharCount(byte[] bytes, int index, int count) => count;
        public override int GetMaxByteCount(int charCount) => charCount;
        public override int GetMaxCharCount(int byteCount) => byteCount;

        public override int GetBytes(char[] chars, int charIndex, int charCount, byte[] bytes, int byteIndex) => Latin1.GetBytes(chars, charIndex, charCount, bytes, byteIndex);

        public override int GetChars(byte[] bytes, int byteIndex, int byteCount, char[] chars, int charIndex)
        {
            for (var i = 0; i < byteCount; i++) chars[charIndex + i] = char.IsAsciiDigit((char)bytes[byteIndex + i]) ? (char)bytes[byteIndex + i] : '?';
            return byteCount;
        }
    }
}
