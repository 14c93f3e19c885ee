using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Agent.Host.Logging;

/// <summary>
/// The agent's log: categories whose levels an operator sets while it runs, each for a time after which it goes back by itself.
/// A restarted agent begins with the standard level everywhere.
/// </summary>
internal sealed class AgentLog : IDisposable
{
    public static readonly TimeSpan Longest = TimeSpan.FromDays(7);
    // What cannot be written as fast as it is told is counted, not kept.
    private const int MostWaiting = 8_192;

    private readonly WaitingQueue<string> _waiting = new(MostWaiting);
    private readonly Thread _writer;
    private readonly Lock _gate = new();
    private readonly Dictionary<string, (long Number, DateTimeOffset Until, ITimer Timer)> _changed = new(StringComparer.Ordinal);
    private long _changes;
    private readonly Action<string> _write;
    private readonly TimeProvider _time;
    private long _dropped;

    public AgentLog(Action<string> write, TimeProvider time)
    {
        (_write, _time) = (write, time);
        LogCategory Make(string name, string about) => new(name, about, write, Later);
        Agent = Make("agent", "its start and end, configuration, what it may not do");
        Events = Make("events", "decisions and what happened, as 'evenkeel events' has it");
        Loop = Make("loop", "debug: what reaches the decision loop and what it asks for; trace: beats and ticks too");
        Store = Make("store", "the coordination store and etcd; debug: each request and its time");
        Private = Make("private", "other nodes: connections, who was refused, enrolment");
        Public = Make("public", "front doors and the balancer");
        Guard = Make("guard", "the guard and its pipe; debug: what it says; trace: its beats too");
        Fencing = Make("fencing", "fence devices");
        Alerts = Make("alerts", "who is told of what is the matter");
        Control = Make("control", "debug: each request on the control socket");
        All = [Agent, Events, Loop, Store, Private, Public, Guard, Fencing, Alerts, Control];
        _writer = new Thread(WriteAll) { Name = "log", IsBackground = true };
        _writer.Start();
    }

    public LogCategory Agent { get; }
    public LogCategory Events { get; }
    public LogCategory Loop { get; }
    public LogCategory Store { get; }
    public LogCategory Private { get; }
    public LogCategory Public { get; }
    public LogCategory Guard { get; }
    public LogCategory Fencing { get; }
    public LogCategory Alerts { get; }
    public LogCategory Control { get; }
    public IReadOnlyList<LogCategory> All { get; }

    public LogLevelsReport Report(NodeName node)
    {
        lock (_gate)
        {
            return new LogLevelsReport(node, [.. All.Select(category => new LogLevelReport(category.Name, category.About, category.Level, _changed.TryGetValue(category.Name, out var changed) ? changed.Until : null))]);
        }
    }

    /// <summary>Sets one category's level, or every category's, for a time; or puts it back.</summary>
    public Answer<Done> Change(LogLevelOrder order)
    {
        var chosen = order.Category is null ? All : [.. All.Where(category => category.Name == order.Category)];
        if (chosen.Count == 0)
        {
            return new Problem(ProblemKind.Unknown, $"there is no category '{order.Category}'", $"Known: {string.Join(", ", All.Select(category => category.Name))}");
        }

        if (order.Level is not null && (order.Lasts <= TimeSpan.Zero || order.Lasts > Longest))
        {
            return new Problem(ProblemKind.Refused, $"a level is changed for at most {Longest.TotalDays:0} days", "Give another --for");
        }

        lock (_gate)
        {
            foreach (var category in chosen)
            {
                if (_changed.Remove(category.Name, out var before))
                {
                    before.Timer.Dispose();
                }

                category.Level = order.Level ?? LogCategory.Standard;
                if (order.Level is { } level && level != LogCategory.Standard)
                {
                    var number = ++_changes;
                    _changed[category.Name] = (number, _time.GetUtcNow() + order.Lasts, _time.CreateTimer(_ => GoBack(category, level, number), null, order.Lasts, Timeout.InfiniteTimeSpan));
                }
            }
        }

        var which = order.Category ?? "every category";
        return new Done(order.Level is { } set ? $"{which} is at {set.ToString().ToLowerInvariant()} until {(_time.GetUtcNow() + order.Lasts).ToLocalTime():yyyy-MM-dd HH:mm:ss}" : $"{which} is at {LogCategory.Standard.ToString().ToLowerInvariant()} again");
    }

    public void Dispose()
    {
        lock (_gate)
        {
            foreach (var (_, _, timer) in _changed.Values)
            {
                timer.Dispose();
            }

            _changed.Clear();
        }

        _waiting.Complete();
        _writer.Join();
    }

    private void GoBack(LogCategory category, LogLevel from, long number)
    {
        lock (_gate)
        {
            // Changed anew while this timer was on its way: that one counts. (Not by the time of day: a timer may come a moment before it.)
            if (!_changed.TryGetValue(category.Name, out var changed) || changed.Number != number)
            {
                return;
            }

            changed.Timer.Dispose();
            _changed.Remove(category.Name);
            category.Level = LogCategory.Standard;
        }

        _write($"log level of {category.Name}: {from.ToString().ToLowerInvariant()} has ended, {LogCategory.Standard.ToString().ToLowerInvariant()} again");
    }

    private bool Later(string line)
    {
        if (_waiting.TryAdd(line))
        {
            return true;
        }

        Interlocked.Increment(ref _dropped);
        return false;
    }

    private void WriteAll()
    {
        foreach (var line in _waiting.TakeAll())
        {
            if (Interlocked.Exchange(ref _dropped, 0) is > 0 and var dropped)
            {
                _write($"{dropped} lines of the log were dropped: they came faster than they could be written");
            }

            _write(line);
        }
    }
}
