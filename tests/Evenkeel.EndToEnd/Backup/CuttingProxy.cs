using System.Net;
using System.Net.Sockets;

namespace Evenkeel.EndToEnd.Backup;

/// <summary>Forwards TCP connections and cuts some: those that send more than a limit, as often as told.</summary>
internal sealed class CuttingProxy : IDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly IPEndPoint _target;
    private int _cuts;

    public CuttingProxy(Uri target, int cuts)
    {
        _target = new IPEndPoint(IPAddress.Loopback, target.Port);
        _cuts = cuts;
        _listener.Start();
        // Away from the test, which blocks its own threads.
        _ = Task.Run(AcceptAsync);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;

    public int CutsLeft => Volatile.Read(ref _cuts);

    public void Dispose()
    {
        _stop.Cancel();
        _listener.Dispose();
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            var client = await _listener.AcceptTcpClientAsync(_stop.Token);
            _ = Task.Run(() => ForwardAsync(client));
        }
    }

    private async Task ForwardAsync(TcpClient client)
    {
        using var from = client;
        using var to = new TcpClient();
        await to.ConnectAsync(_target);
        var back = to.GetStream().CopyToAsync(from.GetStream());
        var buffer = new byte[16 << 10];
        var sent = 0;
        try
        {
            int read;
            while ((read = await from.GetStream().ReadAsync(buffer)) > 0)
            {
                sent += read;
                if (sent > 300_000 && Interlocked.Decrement(ref _cuts) >= 0)
                {
                    from.Client.Close(0);
                    return;
                }
                await to.GetStream().WriteAsync(buffer.AsMemory(0, read));
            }
            to.Client.Shutdown(SocketShutdown.Send);
            await back;
        }
        catch (Exception e) when (e is IOException or SocketException)
        {
            // either end went away
        }
    }
}
