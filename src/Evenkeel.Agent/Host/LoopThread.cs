using System.Globalization;
using Evenkeel.Agent.Host.Logging;
using Evenkeel.Core.Loop;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The one thread that owns all decisions. Events are taken one at a time, in order; a tick is added every
/// <see cref="TickPeriod"/>, and before it what <paramref name="sense"/> has to say of the node; effects go to
/// <paramref name="carryOut"/>. Neither may block.
/// </summary>
/// <param name="journal">Told of each event and effect, where somebody wants that.</param>
internal sealed class LoopThread(AgentLoop loop, Func<AgentEvent?> sense, Action<IReadOnlyList<Effect>> carryOut, Action<Exception> failed, LogCategory? journal = null) : IDisposable
{
    private static readonly TimeSpan TickPeriod = TimeSpan.FromMilliseconds(10);

    /// <summary>Half of the shortest detection time that is usual: worth a line in the log.</summary>
    private static readonly TimeSpan LongStep = TimeSpan.FromMilliseconds(75);

    // Beats of peers are the only unsolicited input, one a peer and beat: a loop that falls behind by this much is broken,
    // and its guard has noticed long ago.
    private const int MostWaiting = 65_536;

    private readonly WaitingQueue<AgentEvent> _events = new(MostWaiting);
    private readonly Lock _reading = new();
    private volatile bool _stopping;
    private readonly FirstCalm _calm = new();
    private Thread? _thread;

    /// <summary>The loop has found its pace after the start.</summary>
    public bool Calm => _calm.Reached;

    public void Start()
    {
        _thread = new Thread(Run) { Name = "loop", IsBackground = true, Priority = ThreadPriority.Highest };
        _thread.Start();
    }

    // Beats only become knowledge; what follows from them waits for the tick, and so may they. At a hundred nodes they would be
    // all that wakes this thread.
    public void Post(AgentEvent happened) => _events.TryAdd(happened, wake: happened is not (BeatReceived or GuardReceived { Message: GuardBeat }));

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
        _events.Complete();
        _thread?.Join();
    }

    private void Run()
    {
        try
        {
            var nextTick = SystemClock.Now;
            while (!_stopping)
            {
                var now = SystemClock.Now;
                _calm.Turn(now);
                if (now.HasWaitedUntil(nextTick))
                {
                    // What waits was there before the tick; more may come meanwhile.
                    for (var waiting = _events.Count; waiting > 0 && _events.TryTake(TimeSpan.Zero, out var earlier); waiting--)
                    {
                        Step(earlier);
                    }

                    if (sense() is { } condition)
                    {
                        Step(condition);
                    }

                    Step(Tick.Instance);
                    nextTick = SystemClock.Now + TickPeriod;
                    continue;
                }

                var wait = nextTick.Since(now);
                if (_events.TryTake(wait > TimeSpan.Zero ? wait + TimeSpan.FromMilliseconds(1) : TimeSpan.Zero, out var happened))
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
        var began = SystemClock.Now;
        lock (_reading)
        {
            effects = loop.Step(happened, SystemClock.Now);
        }

        if (journal?.IsOn(LogLevel.Debug) == true)
        {
            Tell(journal, happened, effects);
        }

        carryOut(effects);
        if (SystemClock.Now.Since(began) is var took && took > LongStep)
        {
            journal?.Tell(LogLevel.Warning, string.Create(CultureInfo.InvariantCulture, $"a step of the loop took {took.TotalMilliseconds:0} ms ({happened.GetType().Name}); beats and leases wait for it"));
        }
    }

    private static void Tell(LogCategory journal, AgentEvent happened, IReadOnlyList<Effect> effects)
    {
        var level = happened is Tick or BeatReceived or GuardReceived { Message: GuardBeat } ? LogLevel.Trace : LogLevel.Debug;
        if (journal.IsOn(level) && happened is not Tick)
        {
            journal.Tell(level, $"in {happened}");
        }

        foreach (var effect in effects)
        {
            level = effect is SendBeat or ToGuard { Message: LoopBeat } ? LogLevel.Trace : LogLevel.Debug;
            if (journal.IsOn(level))
            {
                journal.Tell(level, $"out {effect}");
            }
        }
    }
}
