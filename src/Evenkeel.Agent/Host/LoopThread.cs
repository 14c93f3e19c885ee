using System.Threading.Channels;
using Evenkeel.Core.Loop;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The one thread that owns all decisions. Events are taken one at a time, in order; a tick is added every
/// <see cref="TickPeriod"/>; effects go to <paramref name="carryOut"/>, which must not block.
/// </summary>
internal sealed class LoopThread(AgentLoop loop, Action<IReadOnlyList<Effect>> carryOut, Action<Exception> failed) : IDisposable
{
    private static readonly TimeSpan TickPeriod = TimeSpan.FromMilliseconds(10);

    // Beats of peers are the only unsolicited input, one a peer and beat: a loop that falls behind by this much is broken,
    // and its guard has noticed long ago.
    private const int MostWaiting = 65_536;

    private readonly Channel<AgentEvent> _events = Channel.CreateBounded<AgentEvent>(
        new BoundedChannelOptions(MostWaiting) { SingleReader = true, FullMode = BoundedChannelFullMode.DropWrite });
    private readonly SemaphoreSlim _arrived = new(0);
    private readonly Lock _reading = new();
    private volatile bool _stopping;
    private Thread? _thread;

    public void Start()
    {
        _thread = new Thread(Run) { Name = "loop", IsBackground = true, Priority = ThreadPriority.Highest };
        _thread.Start();
    }

    public void Post(AgentEvent happened)
    {
        if (_events.Writer.TryWrite(happened))
        {
            _arrived.Release();
        }
    }

    /// <summary>Reads the loop's state between two steps; <paramref name="read"/> must be quick.</summary>
    public T Read<T>(Func<AgentLoop, T> read)
    {
        lock (_reading)
        {
            return read(loop);
        }
    }

    public void Dispose()
    {
        _stopping = true;
        _arrived.Release();
        _thread?.Join();
        _arrived.Dispose();
    }

    private void Run()
    {
        try
        {
            var nextTick = SystemClock.Now;
            while (!_stopping)
            {
                var now = SystemClock.Now;
                if (now.HasWaitedUntil(nextTick))
                {
                    Step(Tick.Instance);
                    nextTick = SystemClock.Now + TickPeriod;
                    continue;
                }

                var wait = nextTick.Since(now);
                if (_arrived.Wait(wait > TimeSpan.Zero ? wait + TimeSpan.FromMilliseconds(1) : TimeSpan.Zero) && _events.Reader.TryRead(out var happened))
                {
                    Step(happened);
                }
            }
        }
#pragma warning disable CA1031 // Whatever it is: a loop whose state may be corrupt must not go on deciding. The guard closes the doors.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            failed(exception);
        }
    }

    private void Step(AgentEvent happened)
    {
        IReadOnlyList<Effect> effects;
        lock (_reading)
        {
            effects = loop.Step(happened, SystemClock.Now);
        }

        carryOut(effects);
    }
}
