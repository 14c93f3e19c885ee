using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>An instance that reads a request's head and hands the connection to the test, byte by byte; closed when that returns.</summary>
internal sealed class StreamInstance : IAsyncDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource stopping = new();
    private readonly Func<NetworkStream, string, Task> serve;
    private int served;

    public StreamInstance(Func<NetworkStream, string, Task> serve)
    {
        this.serve = serve;
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        _ = AcceptAsync();
    }

    /// <summary>Requests that it has had.</summary>
    public int Served => Volatile.Read(ref served);

    public Destination Destination(string node = "a", DestinationState state = DestinationState.Up)
    {
        var address = (IPEndPoint)listener.LocalEndPoint!;
        return new("web", new NodeName(node), new PrivateEndpoint(address.Address, address.Port), state);
    }

    public static Task SayAsync(NetworkStream stream, string text) => stream.WriteAsync(Encoding.Latin1.GetBytes(text)).AsTask();

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await listener.AcceptAsync(stopping.Token));
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException) { }
    }

    private async Task ServeAsync(Socket socket)
    {
        try
        {
            using var stream = new NetworkStream(socket, ownsSocket: true);
            var head = new StringBuilder();
            var one = new byte[1];
            while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal))
            {
                if (await stream.ReadAsync(one, stopping.Token) == 0) return;
                head.Append((char)one[0]);
            }
            Interlocked.Increment(ref served);
            await serve(stream, head.ToString()).WaitAsync(stopping.Token);
        }
        catch (Exception end) when (end is OperationCanceledException or IOException or ObjectDisposedException) { }
    }
}
