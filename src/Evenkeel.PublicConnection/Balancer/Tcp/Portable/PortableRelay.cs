using System.Buffers;
using System.Net;
using System.Net.Sockets;
using Evenkeel.PublicConnection.Balancer.Choice;
using Evenkeel.PublicConnection.Balancer.Destinations;
using Evenkeel.PublicConnection.Balancer.Preface;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Portable;

/// <summary>One client's connection and the one to its destination, over .NET's sockets.</summary>
[System.Diagnostics.CodeAnalysis.SuppressMessage("Reliability", "CA1001:Types that own disposable fields should be disposable",
    Justification = "RunAsync disposes the sockets; the source has no timer, and disposed a late Cut would throw.")]
internal sealed class PortableRelay(PortableEngine engine, Listener listener, Socket client, IPEndPoint peer)
{
    private const int BufferBytes = 32 * 1024, MostAttempts = 4;
    private static readonly TimeSpan retryEvery = TimeSpan.FromMilliseconds(100);
    private readonly CancellationTokenSource ending = new();
    private readonly Lock gate = new();
    private CancellationTokenSource? connecting;

    public Listener Listener => listener;
    public Backend? Backend { get; private set; }

    public void Cut() => ending.Cancel();

    /// <summary>Its destination is lost. A client that has heard nothing of it yet goes to another one, or waits for one.</summary>
    public void Lose()
    {
        lock (gate)
        {
            if (connecting is not null)
            {
                connecting.Cancel();
                return;
            }
        }
        Cut();
    }

    /// <summary>Ends when the connection has; throws nothing.</summary>
    public async Task RunAsync()
    {
        using var closing = client;
        RoutePool? entered = null;
        var source = peer;
        Socket? backend = null;
        try
        {
            client.NoDelay = true;
            var routes = listener.Routes;
            (source, var name) = await ReadPrefaceAsync(routes).ConfigureAwait(false);
            var route = Routing.Find(routes, name);
            if (route is null || !AddressLimits.Allows(route.Door, source.Address) || !route.Clients.TakeToken(route.Door, source.Address, Environment.TickCount64)
                || !route.Clients.TryEnter(route.Door, source.Address))
            {
                Reset(client);
                return;
            }
            entered = route;
            backend = await ConnectAsync(route, RendezvousHash.KeyOf(source.Address)).ConfigureAwait(false);
            if (backend is null)
            {
                listener.CountUnserved();
                Reset(client);
                return;
            }
            var header = new byte[128];
            var length = ProxyHeader.Write(route.Door.SendProxy, source, listener.Local, header);
            if (length > 0) await backend.SendAsync(header.AsMemory(0, length), ending.Token).ConfigureAwait(false);
            await Task.WhenAll(CarryAsync(client, backend, toBackend: true), CarryAsync(backend, client, toBackend: false)).ConfigureAwait(false);
        }
        catch (Exception end) when (end is SocketException or OperationCanceledException or InvalidDataException or ObjectDisposedException)
        {
            Reset(client);
            Reset(backend);
        }
        finally
        {
            backend?.Dispose();
            Backend?.Leave();
            entered?.Clients.Leave(source.Address);
        }
    }

    private async Task<(IPEndPoint Source, string? Name)> ReadPrefaceAsync(RoutePool[] routes)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(ending.Token);
        patience.CancelAfter(engine.Options.PrefaceTimeout);
        var source = peer;
        if (Listener.MustAnnounce(routes, peer.Address))
        {
            IPEndPoint? announced = null;
            var length = 0;
            await PeekUntilAsync(ProxyHeader.MostBytes, bytes => ProxyHeader.Read(bytes.Span, out length, out announced), patience.Token).ConfigureAwait(false);
            if (length == 0) throw new InvalidDataException("no PROXY header where there must be one");
            await client.ReceiveAsync(new byte[length], SocketFlags.None, patience.Token).ConfigureAwait(false);
            source = announced ?? peer;
        }
        string? name = null;
        if (Routing.NeedsName(routes)) await PeekUntilAsync(ClientHello.MostBytes, bytes => ClientHello.Read(bytes.Span, out name), patience.Token).ConfigureAwait(false);
        return (source, name);
    }

    private async Task PeekUntilAsync(int most, Func<Memory<byte>, PrefaceState> read, CancellationToken cancellation)
    {
        var buffer = new byte[most];
        for (var before = 0; ;)
        {
            var length = await client.ReceiveAsync(buffer, SocketFlags.Peek, cancellation).ConfigureAwait(false);
            if (length == 0) throw new InvalidDataException("the client ended before it said anything");
            if (length != before && read(buffer.AsMemory(0, length)) != PrefaceState.Incomplete || length == most) return;
            // Peeking again answers at once with the same bytes: there is no event for more of them here.
            if (length == before) await Task.Delay(10, cancellation).ConfigureAwait(false);
            before = length;
        }
    }

    private async Task<Socket?> ConnectAsync(RoutePool route, ulong key)
    {
        var until = Environment.TickCount64 + (long)route.Door.WaitTimeout.TotalMilliseconds;
        if (await TryAllAsync(route, key).ConfigureAwait(false) is { } at) return at;
        if (!engine.TryQueue(route)) return null;
        try
        {
            while (Environment.TickCount64 < until)
            {
                await Task.Delay(retryEvery, ending.Token).ConfigureAwait(false);
                if (await TryAllAsync(route, key).ConfigureAwait(false) is { } late) return late;
            }
            return null;
        }
        finally
        {
            engine.LeaveQueue(route);
        }
    }

    private async Task<Socket?> TryAllAsync(RoutePool route, ulong key)
    {
        var tried = new Backend?[MostAttempts];
        for (var attempt = 0; attempt < MostAttempts; attempt++)
        {
            if (route.Choose(tried.AsSpan(0, attempt), key) is not { } backend) return null;
            tried[attempt] = backend;
            if (!backend.TryEnter(route.Door.MaxPerDestination, isRetry: attempt > 0)) continue;
            Backend = backend;
            var address = backend.Destination.Endpoint.ToIPEndPoint();
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            using var patience = CancellationTokenSource.CreateLinkedTokenSource(ending.Token);
            patience.CancelAfter(engine.Options.ConnectTimeout);
            lock (gate) connecting = patience;
            try
            {
                KernelQueues.Limit(socket);
                await socket.ConnectAsync(address, patience.Token).ConfigureAwait(false);
                lock (gate) connecting = null;
                patience.Token.ThrowIfCancellationRequested();
                backend.Succeeded();
                return socket;
            }
            catch (Exception failure) when (failure is SocketException or OperationCanceledException)
            {
                lock (gate) connecting = null;
                socket.Dispose();
                Backend = null;
                backend.Leave();
                ending.Token.ThrowIfCancellationRequested();
                engine.Pool.ConnectFailed(backend);
            }
        }
        return null;
    }

    private async Task CarryAsync(Socket from, Socket to, bool toBackend)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            while (true)
            {
                var length = await from.ReceiveAsync(buffer, SocketFlags.None, ending.Token).ConfigureAwait(false);
                if (length == 0) break;
                for (var sent = 0; sent < length;) sent += await to.SendAsync(buffer.AsMemory(sent, length - sent), SocketFlags.None, ending.Token).ConfigureAwait(false);
                Backend!.Carried(toBackend ? length : 0, toBackend ? 0 : length);
            }
            to.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The other direction has nobody to talk to either.
            await ending.CancelAsync().ConfigureAwait(false);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static void Reset(Socket? socket)
    {
        if (socket is null) return;
        socket.LingerState = new LingerOption(true, 0);
        socket.Close();
    }
}
