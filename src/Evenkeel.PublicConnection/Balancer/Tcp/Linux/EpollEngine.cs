using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Tcp.Linux;

/// <summary>A worker thread per core; each connection lives on one of them, so nothing in its path takes a lock.</summary>
internal sealed class EpollEngine : ITcpEngine
{
    private readonly Worker[] workers;

    public EpollEngine(BackendPool pool, TcpBalancerOptions options)
    {
        workers = [.. Enumerable.Range(0, Math.Max(1, options.Threads)).Select(number => new Worker(this, pool, options, number))];
        foreach (var worker in workers) worker.Start();
    }

    public int Connections => workers.Sum(worker => worker.Count);

    public void Open(Listener listener)
    {
        listener.Socket.Blocking = false;
        // Accepted sockets have what the listening one has (tcp(7)): five calls less for each client.
        Sys.LeaveAtOnce((int)listener.Socket.Handle);
        Sys.KeepAlive((int)listener.Socket.Handle);
        foreach (var worker in workers) worker.Post(one => one.Open(listener));
    }

    public async Task CloseAsync(Listener listener)
    {
        // Each must have let go of the descriptor before its number can be used again.
        await Task.WhenAll(workers.Select(worker =>
        {
            var done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            worker.Post(one =>
            {
                one.Close(listener);
                done.SetResult();
            });
            return done.Task;
        })).ConfigureAwait(false);
    }

    public void Cut(Backend backend)
    {
        foreach (var worker in workers) worker.Post(one => one.Cut(backend));
    }

    public void Abandon(Listener listener)
    {
        foreach (var worker in workers) worker.Post(one => one.Abandon(listener));
    }

    /// <summary>The least busy worker, when it has clearly less than this one.</summary>
    public Worker? LessBusyThan(Worker worker, int by)
    {
        Worker? least = null;
        foreach (var other in workers)
            if (other != worker && (least is null || other.Count < least.Count)) least = other;
        return least is not null && least.Count + by < worker.Count ? least : null;
    }

    public ValueTask DisposeAsync()
    {
        foreach (var worker in workers) worker.Dispose();
        return ValueTask.CompletedTask;
    }
}
