using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Logging;
using Evenkeel.Core.Model;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>Log levels that an operator changes while the agent runs.</summary>
public sealed class AgentLogTests
{
    private readonly List<string> lines = [];
    private readonly HandClock clock = new();

    private AgentLog Open() => new(line => { lock (lines) lines.Add(line); }, clock);
    private static Done Did(Answer<Done> answer) => answer.Value ?? throw new InvalidOperationException(answer.Problem!.Message);

    /// <summary>Debug lines are written by a thread of their own, all of them before the log is closed.</summary>
    private IReadOnlyList<string> Closed(AgentLog log)
    {
        log.Dispose();
        lock (lines) return [.. lines];
    }

    [Fact]
    public void Line_BelowTheLevel_IsNotWritten_UntilTheLevelIsChanged()
    {
        var log = Open();
        log.Store.Tell(LogLevel.Debug, "one");
        Did(log.Change(new LogLevelOrder("store", LogLevel.Debug, TimeSpan.FromMinutes(1))));
        log.Store.Tell(LogLevel.Debug, "two");
        log.Store.Tell(LogLevel.Trace, "three");
        log.Loop.Tell(LogLevel.Debug, "four");
        log.Store.Tell("five");
        Assert.Equal(["five", "store debug: two"], Closed(log).Order());
    }

    [Fact]
    public void Level_GoesBackByItself_WhenItsTimeIsOver()
    {
        var log = Open();
        Did(log.Change(new LogLevelOrder("loop", LogLevel.Trace, TimeSpan.FromMinutes(10))));
        clock.Advance(TimeSpan.FromMinutes(9));
        Assert.True(log.Loop.IsOn(LogLevel.Trace));
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.False(log.Loop.IsOn(LogLevel.Debug));
        Assert.Null(log.Report(new NodeName("n1")).Categories.Single(one => one.Category == "loop").Until);
        Assert.Equal(["log level of loop: trace has ended, information again"], Closed(log));
    }

    /// <summary>A timer comes a moment before the time of day says so, or somebody has set that back.</summary>
    [Fact]
    public void Level_GoesBack_ThoughTheTimeOfDayIsBehind()
    {
        var log = Open();
        Did(log.Change(new LogLevelOrder("loop", LogLevel.Trace, TimeSpan.FromMinutes(10))));
        clock.Behind = TimeSpan.FromMilliseconds(1);
        clock.Advance(TimeSpan.FromMinutes(10));
        Assert.False(log.Loop.IsOn(LogLevel.Debug));
        Assert.Equal(["log level of loop: trace has ended, information again"], Closed(log));
    }

    [Fact]
    public void Level_ChangedAnew_LastsAsTheLaterChangeSays()
    {
        var log = Open();
        Did(log.Change(new LogLevelOrder("loop", LogLevel.Debug, TimeSpan.FromMinutes(1))));
        Did(log.Change(new LogLevelOrder("loop", LogLevel.Trace, TimeSpan.FromMinutes(5))));
        clock.Advance(TimeSpan.FromMinutes(2));
        Assert.True(log.Loop.IsOn(LogLevel.Trace));
        Did(log.Change(new LogLevelOrder(null, null, TimeSpan.Zero)));
        Assert.False(log.Loop.IsOn(LogLevel.Debug));
        clock.Advance(TimeSpan.FromMinutes(10));
        Assert.Empty(Closed(log));
    }

    [Fact]
    public void EveryCategory_IsSetAtOnce_AndAQuietOneTellsOnlyWhatIsWorse()
    {
        var log = Open();
        Did(log.Change(new LogLevelOrder(null, LogLevel.Warning, TimeSpan.FromHours(1))));
        log.Agent.Tell("up");
        log.Guard.Tell(LogLevel.Warning, "gone");
        Assert.Equal(["guard warning: gone"], Closed(log));
    }

    [Fact]
    public void Order_ThatMakesNoSense_ChangesNothing()
    {
        using var log = Open();
        Assert.Equal(ProblemKind.Unknown, log.Change(new LogLevelOrder("stroe", LogLevel.Debug, TimeSpan.FromHours(1))).Problem!.Kind);
        Assert.Equal(ProblemKind.Refused, log.Change(new LogLevelOrder("store", LogLevel.Debug, TimeSpan.FromDays(8))).Problem!.Kind);
        Assert.Equal(ProblemKind.Refused, log.Change(new LogLevelOrder("store", LogLevel.Debug, TimeSpan.Zero)).Problem!.Kind);
        Assert.All(log.Report(new NodeName("n1")).Categories, one => Assert.Equal((LogLevel.Information, (DateTimeOffset?)null), (one.Level, one.Until)));
    }

    [Fact]
    public void MoreLines_ThanCanBeWritten_AreDroppedAndCounted()
    {
        using var stuck = new ManualResetEventSlim();
        var log = new AgentLog(line => { stuck.Wait(TestContext.Current.CancellationToken); lock (lines) lines.Add(line); }, clock);
        Did(log.Change(new LogLevelOrder("loop", LogLevel.Trace, TimeSpan.FromHours(1))));
        for (var number = 0; number < 20_000; number++) log.Loop.Tell(LogLevel.Trace, "beat");
        stuck.Set();
        var written = Closed(log);
        Assert.Contains(written, line => line.EndsWith("lines of the log were dropped: they came faster than they could be written", StringComparison.Ordinal));
        Assert.InRange(written.Count, 2, 10_000);
    }

    /// <summary>Time that passes when told to, with its timers.</summary>
    private sealed class HandClock : TimeProvider
    {
        private readonly List<HandTimer> timers = [];
        private DateTimeOffset now = new(2026, 1, 2, 3, 4, 5, TimeSpan.Zero);

        /// <summary>By how much the time of day has come behind what timers go by.</summary>
        public TimeSpan Behind { get; set; }

        public override DateTimeOffset GetUtcNow() => now - Behind;

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            var timer = new HandTimer(() => callback(state), now + dueTime);
            timers.Add(timer);
            return timer;
        }

        public void Advance(TimeSpan time)
        {
            now += time;
            foreach (var timer in timers.ToList()) timer.Fire(now);
        }

        private sealed class HandTimer(Action act, DateTimeOffset due) : ITimer
        {
            private bool over;

            public void Fire(DateTimeOffset at)
            {
                if (over || at < due) return;
                over = true;
                act();
            }

            public bool Change(TimeSpan dueTime, TimeSpan period) => throw new NotSupportedException();
            public void Dispose() => over = true;
            public ValueTask DisposeAsync()
            {
                over = true;
                return ValueTask.CompletedTask;
            }
        }
    }
}
