using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.Tests.PublicConnection.Balancer.Tcp;

/// <summary>Says its name, then sends back whatever comes, and ends when the client has.</summary>
internal sealed class EchoInstance : IAsyncDisposable
{
    private readonly Socket listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly CancellationTokenSource stopping = new();
    private int accepted;

    public EchoInstance(string name)
    {
        Name = name;
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        Address = (IPEndPoint)listener.LocalEndPoint!;
        _ = AcceptAsync();
    }

    public string Name { get; }
    public IPEndPoint Address { get; }
    public int Accepted => Volatile.Read(ref accepted);

    public Destination Destination(DestinationState state = DestinationState.Up, string service = "db") =>
        new(service, new NodeName(Name), new PrivateEndpoint(Address.Address, Address.Port), state);

    public void StopListening() => listener.Dispose();

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        listener.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                var socket = await listener.AcceptAsync(stopping.Token);
                Interlocked.Increment(ref accepted);
                _ = EchoAsync(socket);
            }
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException or ObjectDisposedException) { }
    }

    private async Task EchoAsync(Socket socket)
    {
        try
        {
            using var closing = socket;
            await socket.SendAsync(Encoding.ASCII.GetBytes(Name + "\n"), stopping.Token);
            var buffer = new byte[100_000];
            while (await socket.ReceiveAsync(buffer, stopping.Token) is > 0 and var length)
                for (var sent = 0; sent < length;) sent += await socket.SendAsync(buffer.AsMemory(sent, length - sent), stopping.Token);
        }
        catch (Exception end) when (end is OperationCanceledException or SocketException) { }
    }
}
