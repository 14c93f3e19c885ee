namespace Evenkeel.Simulation.World;

/// <summary>Real time as the simulator knows it: a queue of what happens when, in nanoseconds; ties in the order of planning.</summary>
public sealed class VirtualTime
{
    private readonly PriorityQueue<Action, (long At, long Order)> queue = new();
    private long order;

    public long Now { get; private set; }
    public long Events { get; private set; }

    public void After(long delay, Action what) => queue.Enqueue(what, (Now + Math.Max(0, delay), order++));

    /// <summary>Runs until <paramref name="end"/>; <paramref name="afterEach"/> looks at the world after every event.</summary>
    public void RunUntil(long end, Action afterEach)
    {
        while (queue.TryPeek(out _, out var next) && next.At <= end)
        {
            var what = queue.Dequeue();
            Now = next.At;
            Events++;
            what();
            afterEach();
        }
        Now = end;
    }
}
