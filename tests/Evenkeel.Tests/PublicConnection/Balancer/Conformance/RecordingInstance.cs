using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.RegularExpressions;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Tests.PublicConnection.Balancer.Conformance;

/// <summary>
/// An instance that keeps every byte that reaches it. What it calls a request is whatever the most careless server could take
/// for one: any line that reads like a request line, wherever it stands.
/// </summary>
internal sealed partial class RecordingInstance : IAsyncDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Task<string>> connections = [];
    private readonly CancellationTokenSource stopping = new();
    private readonly Task accepting;
    private volatile EndPoint? mark;

    public RecordingInstance()
    {
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        accepting = AcceptAsync();
    }

    private IPEndPoint Address => (IPEndPoint)listener.LocalEndPoint!;

    public Destination Destination() => new("web", new NodeName("a"), new PrivateEndpoint(Address.Address, Address.Port), DestinationState.Up);

    /// <summary>Everything that has come, connection by connection. Call it when the balancer is closed: it waits for the last connection's end.</summary>
    public async Task<string> ReceivedAsync()
    {
        // Accepted in the order of their coming: when this one is there, all before it are.
        using (var last = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
        {
            last.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            mark = last.LocalEndPoint;
            await last.ConnectAsync(Address);
            await accepting;
        }
        return string.Concat(await Task.WhenAll(connections).WaitAsync(TimeSpan.FromSeconds(10)));
    }

    public static IReadOnlyList<string> Requests(string received) => [.. RequestLine().Matches(received).Select(match => match.Groups[1].Value)];

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
        await accepting;
        stopping.Dispose();
    }

    [GeneratedRegex(@"(?:^|[\r\n])([^\r\n]+[ \t]HTTP/[0-9.]+)")]
    private static partial Regex RequestLine();

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync(stopping.Token);
                if (socket.RemoteEndPoint!.Equals(mark))
                {
                    socket.Dispose();
                    return;
                }
                connections.Add(ServeAsync(socket));
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException) { }
    }

    private async Task<string> ServeAsync(Socket socket)
    {
        var received = new StringBuilder();
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            var buffer = new byte[16 * 1024];
            var answered = 0;
            while (await stream.ReadAsync(buffer, stopping.Token) is var count and > 0)
            {
                received.Append(Encoding.Latin1.GetString(buffer, 0, count));
                while (EndOfRequest(received.ToString(), answered) is { } end)
                {
                    answered = end;
                    await stream.WriteAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"u8.ToArray(), stopping.Token);
                }
            }
        }
        catch (Exception end) when (end is OperationCanceledException or IOException or ObjectDisposedException) { }
        return received.ToString();
    }

    private static int? EndOfRequest(string received, int from)
    {
        var body = received.IndexOf("\r\n\r\n", from, StringComparison.Ordinal) + 4;
        if (body < 4) return null;
        var head = received[from..body];
        if (head.Contains("Transfer-Encoding: chunked", StringComparison.OrdinalIgnoreCase))
            return received.IndexOf("0\r\n\r\n", body, StringComparison.Ordinal) is var last and >= 0 ? last + 5 : null;
        var length = ContentLength().Match(head) is { Success: true } match ? int.Parse(match.Groups[1].Value, System.Globalization.CultureInfo.InvariantCulture) : 0;
        return received.Length >= body + length ? body + length : null;
    }

    [GeneratedRegex(@"\r\nContent-Length: (\d+)", RegexOptions.IgnoreCase)]
    private static partial Regex ContentLength();
}
