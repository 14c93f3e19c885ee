using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Host.Desk;

/// <summary>Asks another node's <see cref="DeskServer"/>, over whichever private link answers first in order.</summary>
/// <param name="certificate">Who we are and whom we believe.</param>
/// <param name="own">This node's private addresses, one a link: asked from, so that the answer comes back by the same link.</param>
internal sealed class DeskClient(NodeCertificate certificate, IReadOnlyList<IPAddress> own, int port = PrivatePorts.Desk)
{
    private static readonly TimeSpan DialLimit = TimeSpan.FromSeconds(2);

    /// <summary>The node's own lines of a service. The connection is made before this returns.</summary>
    /// <exception cref="HttpRequestException">The node cannot be asked; says why.</exception>
    public async Task<IAsyncEnumerable<LogLine>> LogsAsync(
        NodeName node, IReadOnlyList<IPAddress> addresses, string service, int lines, bool follow, CancellationToken cancellation)
    {
        var http = Client(node, addresses);
        try
        {
            var path = DeskServer.Logs.Replace("{service}", Uri.EscapeDataString(service), StringComparison.Ordinal);
            var query = string.Create(CultureInfo.InvariantCulture, $"{path}?lines={lines}&follow={(follow ? "true" : "false")}");
            var answer = await http.GetAsync(query, HttpCompletionOption.ResponseHeadersRead, cancellation).ConfigureAwait(false);
            answer.EnsureSuccessStatusCode();
            return ReadAsync(http, answer, cancellation);
        }
        catch
        {
            http.Dispose();
            throw;
        }
    }

    /// <summary>The node's own diagnostics: a gzip-compressed tar archive, handed over as it comes.</summary>
    /// <exception cref="HttpRequestException">The node cannot be asked; says why. Nothing was handed over.</exception>
    public async Task DiagnosticsAsync(NodeName node, IReadOnlyList<IPAddress> addresses, Func<Stream, Task> take, CancellationToken cancellation)
    {
        using var http = Client(node, addresses);
        await using var archive = await http.GetStreamAsync(new Uri(DeskServer.Diagnostics, UriKind.Relative), cancellation).ConfigureAwait(false);
        await take(archive).ConfigureAwait(false);
    }

    /// <summary>A new certificate for this node, signed where the authority's key is.</summary>
    /// <param name="request">What to sign, PEM.</param>
    /// <returns>PEM; null when that node has not the key, or does not know us.</returns>
    /// <exception cref="HttpRequestException">The node cannot be asked; says why.</exception>
    public async Task<string?> RenewAsync(NodeName node, IReadOnlyList<IPAddress> addresses, string request, CancellationToken cancellation)
    {
        using var http = Client(node, addresses);
        using var body = new StringContent(request);
        using var answer = await http.PostAsync(new Uri(DeskServer.Certificate, UriKind.Relative), body, cancellation).ConfigureAwait(false);
        return answer.StatusCode == HttpStatusCode.OK ? await answer.Content.ReadAsStringAsync(cancellation).ConfigureAwait(false) : null;
    }

    private static async IAsyncEnumerable<LogLine> ReadAsync(HttpClient http, HttpResponseMessage answer, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var ended = http;
        using var response = answer;
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(cancellation).ConfigureAwait(false));
        while (await reader.ReadLineAsync(cancellation).ConfigureAwait(false) is { } line)
        {
            if (JsonSerializer.Deserialize(line, ControlJson.Default.LogLine) is { } read)
            {
                yield return read;
            }
        }
    }

    /// <summary>One question after the other on one connection; the caller's to dispose. Connects with the first of them.</summary>
    public HttpClient Open(NodeName node, IReadOnlyList<IPAddress> addresses) => Client(node, addresses);

    private HttpClient Client(NodeName node, IReadOnlyList<IPAddress> addresses) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        ConnectCallback = (_, cancellation) => new ValueTask<Stream>(ConnectAsync(node, addresses, cancellation)),
    }) { BaseAddress = new Uri("http://" + node), Timeout = Timeout.InfiniteTimeSpan };

    private async Task<Stream> ConnectAsync(NodeName node, IReadOnlyList<IPAddress> addresses, CancellationToken cancellation)
    {
        Exception? last = null;
        for (var link = 0; link < addresses.Count; link++)
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(DialLimit);
            var socket = new Socket(addresses[link].AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                BulkSocket.Apply(socket);
                socket.Bind(new IPEndPoint(own[Math.Min(link, own.Count - 1)], 0));
                await socket.ConnectAsync(new IPEndPoint(addresses[link], port), limit.Token).ConfigureAwait(false);
                var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
                string? reason = null;
                try
                {
                    await tls.AuthenticateAsClientAsync(certificate.ClientOptions(node, why => reason = why), limit.Token).ConfigureAwait(false);
                    return tls;
                }
                catch (System.Security.Authentication.AuthenticationException exception)
                {
                    throw new IOException(reason ?? exception.Message, exception);
                }
            }
            catch (Exception exception) when (exception is IOException or SocketException or OperationCanceledException && !cancellation.IsCancellationRequested)
            {
                socket.Dispose();
                last = exception is OperationCanceledException ? new TimeoutException($"no answer within {DialLimit.TotalSeconds:F0} s", exception) : exception;
            }
        }

        throw new HttpRequestException($"{node} does not answer on its private addresses: {last?.Message ?? "it has none"}", last);
    }
}
