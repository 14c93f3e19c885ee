using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>An HTTP/1.1 server of a few lines whose misbehaviour is under the test's control, down to the connection.</summary>
internal sealed class ScriptedInstance : IAsyncDisposable
{
    public sealed record Seen(string Method, string Path, IReadOnlyDictionary<string, string> Headers, string Body);

    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource stopping = new();
    private readonly ConcurrentBag<Socket> open = [];

    /// <param name="answer">The answer's body; null closes the connection without one. May wait.</param>
    public ScriptedInstance(string name, Func<Seen, Task<string?>> answer)
    {
        Name = name;
        Answer = answer;
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _ = AcceptAsync();
    }

    public ScriptedInstance(string name) : this(name, _ => Task.FromResult<string?>(name)) { }

    public string Name { get; }
    public Func<Seen, Task<string?>> Answer { get; set; }
    public ConcurrentQueue<Seen> Requests { get; } = new();
    public IPEndPoint Address => (IPEndPoint)listener.LocalEndPoint!;

    public IEnumerable<Seen> To(string path) => Requests.Where(request => request.Path == path);

    public Destination Destination(DestinationState state = DestinationState.Up, int weight = 100) =>
        new("web", new NodeName(Name), new PrivateEndpoint(Address.Address, Address.Port), state, weight);

    /// <summary>Never answers, as after SIGSTOP: connections are taken, nothing comes back.</summary>
    public void Hang() => Answer = async _ =>
    {
        await Task.Delay(Timeout.Infinite, stopping.Token);
        return null;
    };

    /// <summary>Takes no new connections; those that are there stay.</summary>
    public void StopListening() => listener.Dispose();

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
        foreach (var socket in open) socket.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync(stopping.Token);
                open.Add(socket);
                _ = ServeAsync(socket);
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException) { }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            while (await ReadAsync(stream) is { } request)
            {
                Requests.Enqueue(request);
                if (await Answer(request) is not { } body) return;
                var status = body.StartsWith('!') ? body[1..] : "200 OK";
                await stream.WriteAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\n\r\n{body}"), stopping.Token);
            }
        }
        catch (Exception end) when (end is OperationCanceledException or IOException or ObjectDisposedException) { }
    }

    private async Task<Seen?> ReadAsync(NetworkStream stream)
    {
        var head = new StringBuilder();
        var one = new byte[1];
        while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
        {
            if (await stream.ReadAsync(one, stopping.Token) == 0) return null;
            head.Append((char)one[0]);
        }
        var lines = head.ToString().Split("\r\n", StringSplitOptions.RemoveEmptyEntries);
        var words = lines[0].Split(' ');
        var headers = lines.Skip(1).Select(line => line.Split(": ", 2)).ToDictionary(pair => pair[0], pair => pair.ElementAtOrDefault(1) ?? "", StringComparer.OrdinalIgnoreCase);
        var body = new byte[headers.TryGetValue("Content-Length", out var length) ? int.Parse(length, System.Globalization.CultureInfo.InvariantCulture) : 0];
        await stream.ReadExactlyAsync(body, stopping.Token);
        return new Seen(words[0], words[1], headers, Encoding.UTF8.GetString(body));
    }
}
