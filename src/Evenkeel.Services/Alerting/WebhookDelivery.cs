using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Alerting;

/// <summary>
/// POSTs a notice, with the headers of Standard Webhooks 1.0 (<c>webhook-id</c>, <c>webhook-timestamp</c>, and with a secret
/// <c>webhook-signature</c>). 2xx is success; 408, 425, 429, 5xx and a broken connection may work later; anything else will not.
/// </summary>
public sealed class WebhookDelivery(AlertReceiverSpec receiver, HttpMessageHandler? handler = null) : IDelivery, IDisposable
{
    private const int MostAnswer = 4 << 10;
    private const string SecretPrefix = "whsec_";
    private const int LeastSecret = 24, MostSecret = 64; // bytes, as Standard Webhooks asks for

    // A redirection could take the message, and what it is signed with, to somebody else.
    private readonly HttpClient _http = new(handler ?? new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(2) }) { Timeout = Timeout.InfiniteTimeSpan };

    public async Task<DeliveryResult> SendAsync(Notice notice, CancellationToken cancellation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, receiver.Webhook) { Content = new StringContent(notice.Body, Encoding.UTF8) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        foreach (var (name, value) in receiver.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        // For all of it: the client's own limit would end with the answer's headers, and its body may never come.
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(receiver.TimeLimit);
        try
        {
            // Read each time: who changes a secret need not restart anything.
            if (receiver.AuthorizationFile is { } file)
            {
                request.Headers.TryAddWithoutValidation("Authorization", (await File.ReadAllTextAsync(file, cancellation).ConfigureAwait(false)).Trim());
            }

            var time = notice.At.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
            request.Headers.Add("webhook-id", notice.Id);
            request.Headers.Add("webhook-timestamp", time);
            if (receiver.SecretFile is { } secret)
            {
                var key = KeyOf((await File.ReadAllTextAsync(secret, cancellation).ConfigureAwait(false)).Trim());
                if (key is null)
                {
                    return new DeliveryResult(false, true, $"{secret} holds no secret: write {SecretPrefix} and the base64 of {LeastSecret} to {MostSecret} random bytes");
                }

                request.Headers.Add("webhook-signature", "v1," + Convert.ToBase64String(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes($"{notice.Id}.{time}.{notice.Body}"))));
            }

            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token).ConfigureAwait(false);
            return response.IsSuccessStatusCode ? DeliveryResult.Success : await FailureAsync(response, limit.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException or UnauthorizedAccessException)
        {
            return new DeliveryResult(false, true, failure.Message);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            return new DeliveryResult(false, true, $"no answer within {receiver.TimeLimit.TotalSeconds:0.#} s");
        }
    }

    public void Dispose() => _http.Dispose();

    private static byte[]? KeyOf(string text)
    {
        var encoded = text.StartsWith(SecretPrefix, StringComparison.Ordinal) ? text[SecretPrefix.Length..] : text;
        var key = new byte[MostSecret];
        return Convert.TryFromBase64String(encoded, key, out var length) && length >= LeastSecret ? key[..length] : null;
    }

    private static async Task<DeliveryResult> FailureAsync(HttpResponseMessage response, CancellationToken cancellation)
    {
        var later = (int)response.StatusCode >= 500 || response.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or (HttpStatusCode)425;
        var buffer = new byte[MostAnswer];
        var length = 0;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false);
            length = await body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is OperationCanceledException or HttpRequestException or IOException)
        {
            // Its status is known: it did not say why.
        }

        var said = Encoding.UTF8.GetString(buffer, 0, length).ReplaceLineEndings(" ").Trim();
        return new DeliveryResult(false, later, $"it answered {(int)response.StatusCode}{(said.Length > 0 ? $": {said[..Math.Min(said.Length, 200)]}" : "")}",
            response.Headers.RetryAfter?.Delta);
    }
}
