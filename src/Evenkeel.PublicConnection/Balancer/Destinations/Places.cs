using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Destinations;

/// <summary>
/// The places of one HTTP route: at each destination, and of the route as a whole. A request for which there is none stands in line,
/// first come, first served; the line is bounded in length and time, so that a slow service costs its own clients and nobody else.
/// </summary>
internal sealed class Places(RoutePool route)
{
    private readonly Lock gate = new();
    private readonly LinkedList<Waiter> line = [];
    private int running, waiting;

    private sealed class Waiter(Asking asking) : TaskCompletionSource<Backend>(TaskCreationOptions.RunContinuationsAsynchronously)
    {
        public Asking Asking => asking;
    }

    /// <summary>What a request wants: not one of <paramref name="Tried"/>, and if <paramref name="Seat"/> is there, no other.</summary>
    public readonly record struct Asking(Backend? Seat, Backend?[] Tried, ulong? Key, bool IsRetry);

    public int Waiting => Volatile.Read(ref waiting);
    /// <summary>Without a limit there is no line, and nobody is counted.</summary>
    public bool Limited => Door.MaxPerDestination is not null || Door.Http.MaxRequests is not null;
    private DoorSpec Door => route.Door;

    /// <summary>
    /// Takes a place at a destination, and for a first attempt one of the route, which <see cref="LeaveRoute"/> gives back. Null with
    /// <c>Refused</c> when the line is full or it took too long; null without when no destination is left to try.
    /// </summary>
    public async ValueTask<(Backend? Backend, bool Refused)> TakeAsync(Asking asking, CancellationToken cancellation)
    {
        Waiter waiter;
        LinkedListNode<Waiter> place;
        lock (gate)
        {
            // What is tried again has waited before.
            if (line.Count == 0 || asking.IsRetry)
            {
                var (there, full) = Pick(asking);
                if (there is not null || !full) return (there, false);
            }
            if (line.Count >= Door.MaxWaiting) return (null, true);
            place = line.AddLast(waiter = new Waiter(asking));
            // Told before we look once more: whoever leaves from now on sees us, and what became free before is found here.
            Interlocked.Exchange(ref waiting, line.Count);
            Serve();
        }
        try
        {
            return (await waiter.Task.WaitAsync(Door.WaitTimeout, cancellation).ConfigureAwait(false), false);
        }
        catch (Exception end) when (end is TimeoutException or OperationCanceledException)
        {
            lock (gate)
            {
                if (waiter.Task.IsCompletedSuccessfully) return (waiter.Task.Result, false);
                line.Remove(place);
                Interlocked.Exchange(ref waiting, line.Count);
            }
            return (null, true);
        }
    }

    /// <summary>A request of the route is over.</summary>
    public void LeaveRoute()
    {
        Interlocked.Decrement(ref running);
        Offer();
    }

    /// <summary>Somewhere a place may have become free.</summary>
    public void Offer()
    {
        if (Volatile.Read(ref waiting) == 0) return;
        lock (gate) Serve();
    }

    private void Serve()
    {
        for (var next = line.First; next is not null;)
        {
            var (place, asking) = (next, next.Value.Asking);
            next = next.Next;
            var (there, _) = Pick(asking);
            if (there is not null)
            {
                line.Remove(place);
                place.Value.SetResult(there);
            }
            // Who would take any destination and got none: nor will those behind, except for a seat of their own.
            else if (asking is { Seat: null, Tried.Length: 0 } && !line.Any(static one => one.Asking.Seat is not null)) break;
        }
        Interlocked.Exchange(ref waiting, line.Count);
    }

    private (Backend? Backend, bool Full) Pick(in Asking asking)
    {
        if (!asking.IsRetry && !TryEnterRoute()) return (null, true);
        var found = asking.Seat is { } seat && route.IsAvailable(seat)
            ? (Backend: seat.TryEnter(Door.MaxPerDestination, asking.IsRetry) ? seat : null, Full: true)
            : Any(asking);
        if (found.Backend is null && !asking.IsRetry) Interlocked.Decrement(ref running);
        return found;
    }

    private (Backend? Backend, bool Full) Any(in Asking asking)
    {
        var passed = asking.Tried;
        for (var full = false; ; full = true)
        {
            if (route.Choose(passed, asking.Key) is not { } backend) return (null, full);
            if (backend.TryEnter(Door.MaxPerDestination, asking.IsRetry)) return (backend, false);
            passed = [.. passed, backend];
        }
    }

    private bool TryEnterRoute()
    {
        if (Interlocked.Increment(ref running) <= (Door.Http.MaxRequests ?? int.MaxValue)) return true;
        Interlocked.Decrement(ref running);
        return false;
    }
}
