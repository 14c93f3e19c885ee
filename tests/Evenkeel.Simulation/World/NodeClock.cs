using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>A node's two clocks: their own rate and offset; a suspend stops one of them.</summary>
public sealed class NodeClock(VirtualTime time, double rate, long bootOffset)
{
    private long suspended;

    public Instant Now
    {
        get
        {
            var elapsed = (long)(time.Now * rate) + bootOffset;
            return new Instant(elapsed, elapsed - suspended);
        }
    }

    /// <summary>Real nanoseconds until the node's clocks have gone <paramref name="local"/> nanoseconds further.</summary>
    public long RealFor(long local) => Math.Max(0, (long)(local / rate) + 1);

    /// <summary>The machine slept: CLOCK_MONOTONIC_RAW stood still meanwhile.</summary>
    public void Slept(long nanoseconds) => suspended += (long)(nanoseconds * rate);
}
