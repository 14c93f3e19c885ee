using System.Net.Http;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection;

/// <summary>The GET by which an instance's health is asked, judged alike by its own agent and by every balancer.</summary>
public static class HttpHealth
{
    /// <summary>Of the body so much is looked at.</summary>
    public const int MostBytes = 64 * 1024;

    /// <summary>Null when the answer is what the check wants, else what is wrong in words. Network errors are thrown as <see cref="HttpRequestException"/> or <see cref="IOException"/>.</summary>
    /// <param name="address">Such as <c>10.10.0.11:5000</c>.</param>
    public static async Task<string?> CheckAsync(HttpMessageInvoker client, string address, HealthSpec health, CancellationToken cancellation)
    {
        var url = $"http://{address}{health.Path ?? "/"}";
        using var request = new HttpRequestMessage(HttpMethod.Get, url);
        request.Headers.TryAddWithoutValidation("User-Agent", "evenkeel-check");
        if (health.Host is not null) request.Headers.Host = health.Host;
        using var answer = await client.SendAsync(request, cancellation).ConfigureAwait(false);
        var status = (int)answer.StatusCode;
        if (status < health.LeastStatus || status > health.GreatestStatus) return $"{url} answers {status}";
        if (health.Contains is not { } text) return null;
        var body = new byte[MostBytes];
        await using var stream = await answer.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
        var length = await stream.ReadAtLeastAsync(body, body.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
        return body.AsSpan(0, length).IndexOf(Encoding.UTF8.GetBytes(text)) >= 0 ? null : $"{url} answers {status} without '{text}' in its body";
    }
}
