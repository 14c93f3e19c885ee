using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Portable;

/// <summary>The TCP balancer where there is no epoll: .NET's sockets, copying. It behaves like the other one and costs more.</summary>
internal sealed class PortableEngine(BackendPool pool, TcpBalancerOptions options) : ITcpEngine
{
    private readonly ConcurrentDictionary<PortableRelay, Task> relays = new();
    private readonly ConcurrentDictionary<Listener, (CancellationTokenSource Stop, Task Work)> accepting = new();
    private readonly ConcurrentDictionary<RoutePool, int> waiting = new();

    public int Connections => relays.Count;
    public BackendPool Pool => pool;
    public TcpBalancerOptions Options => options;

    public void Open(Listener listener)
    {
        var stop = new CancellationTokenSource();
        accepting[listener] = (stop, AcceptAsync(listener, stop.Token));
    }

    public async Task CloseAsync(Listener listener)
    {
        if (!accepting.TryRemove(listener, out var work)) return;
        await work.Stop.CancelAsync().ConfigureAwait(false);
        await work.Work.ConfigureAwait(false);
        work.Stop.Dispose();
        _ = CutLaterAsync(listener);
    }

    public void Cut(Backend backend)
    {
        foreach (var relay in relays.Keys)
            if (relay.Backend == backend) relay.Lose();
    }

    public void Abandon(Listener listener)
    {
        foreach (var relay in relays.Keys)
            if (relay.Listener == listener) relay.Cut();
    }

    /// <summary>False when the queue of the route is full; each success is followed by one <see cref="LeaveQueue"/>.</summary>
    public bool TryQueue(RoutePool route)
    {
        if (waiting.AddOrUpdate(route, 1, static (_, count) => count + 1) <= route.Door.MaxWaiting) return true;
        LeaveQueue(route);
        return false;
    }

    public void LeaveQueue(RoutePool route) => waiting.AddOrUpdate(route, 0, static (_, count) => count - 1);

    public async ValueTask DisposeAsync()
    {
        foreach (var listener in accepting.Keys) await CloseAsync(listener).ConfigureAwait(false);
        foreach (var relay in relays.Keys) relay.Cut();
        await Task.WhenAll(relays.Values).ConfigureAwait(false);
    }

    private async Task CutLaterAsync(Listener listener)
    {
        var left = (listener.CutAt ?? 0) - Environment.TickCount64;
        if (left > 0) await Task.Delay(TimeSpan.FromMilliseconds(left)).ConfigureAwait(false);
        Abandon(listener);
    }

    private async Task AcceptAsync(Listener listener, CancellationToken stop)
    {
        while (true)
        {
            try
            {
                var client = await listener.Socket.AcceptAsync(stop).ConfigureAwait(false);
                listener.CountAccepted();
                var relay = new PortableRelay(this, listener, client, (IPEndPoint)client.RemoteEndPoint!);
                var work = new TaskCompletionSource();
                relays[relay] = work.Task;
                _ = RunAsync(relay, work);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (SocketException) when (!stop.IsCancellationRequested)
            {
                // The client left before it was accepted, or descriptors ran out: neither ends the door.
                await Task.Delay(10, CancellationToken.None).ConfigureAwait(false);
            }
        }
    }

    private async Task RunAsync(PortableRelay relay, TaskCompletionSource done)
    {
        await Task.Yield();
        await relay.RunAsync().ConfigureAwait(false);
        relays.TryRemove(relay, out _);
        done.SetResult();
    }
}
