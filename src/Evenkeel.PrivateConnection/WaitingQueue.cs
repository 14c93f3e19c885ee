using System.Diagnostics.CodeAnalysis;

namespace Evenkeel.PrivateConnection;

/// <summary>
/// A bounded queue whose taker sleeps until something comes. The platform's blocking collections spin with <c>sched_yield</c>
/// before they sleep: on a loop that wakes a hundred times a second that was a third of a core in an idle agent.
/// </summary>
/// <param name="capacity">Most elements that wait; more are refused.</param>
public sealed class WaitingQueue<T>(int capacity)
{
    private readonly object _gate = new();
    private readonly Queue<T> _waiting = new();
    private bool _completed;

    /// <summary>False when the queue is full or completed: nothing was added.</summary>
    /// <param name="wake">False: it need not be taken before the taker wakes for something else, or by itself.</param>
    public bool TryAdd(T element, bool wake = true)
    {
        lock (_gate)
        {
            if (_completed || _waiting.Count >= capacity)
            {
                return false;
            }

            _waiting.Enqueue(element);
            if (wake)
            {
                Monitor.Pulse(_gate);
            }

            return true;
        }
    }

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _waiting.Count;
            }
        }
    }

    /// <summary>The oldest element; false when none came within <paramref name="patience"/>, or the queue is completed and empty.</summary>
    /// <param name="patience">Whole milliseconds count.</param>
    public bool TryTake(TimeSpan patience, [MaybeNullWhen(false)] out T element)
    {
        lock (_gate)
        {
            if (_waiting.Count == 0 && !_completed && patience != TimeSpan.Zero)
            {
                // One wait is enough: every addition pulses, and a taker woken for nothing comes back.
                Monitor.Wait(_gate, patience);
            }

            return _waiting.TryDequeue(out element);
        }
    }

    /// <summary>Takes until the queue is completed and empty.</summary>
    public IEnumerable<T> TakeAll()
    {
        while (true)
        {
            bool taken;
            T? element;
            lock (_gate)
            {
                while (_waiting.Count == 0 && !_completed)
                {
                    Monitor.Wait(_gate);
                }

                taken = _waiting.TryDequeue(out element);
            }

            if (!taken)
            {
                yield break;
            }

            yield return element!;
        }
    }

    /// <summary>Nothing more is added; takers get what waits, then nothing.</summary>
    public void Complete()
    {
        lock (_gate)
        {
            _completed = true;
            Monitor.PulseAll(_gate);
        }
    }
}
