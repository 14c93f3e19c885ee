using System.Collections.Concurrent;
using System.Threading.Channels;
using Evenkeel.Agent.Host.VirtualIp;
using Evenkeel.Core.Model;
using Evenkeel.Services.VirtualIp;
using Xunit;

namespace Evenkeel.Tests.Host.VirtualIp;

/// <summary>When a virtual IP's hook is called. The test plays the hook: each call waits for its word.</summary>
public sealed class HookDutyTests : IAsyncDisposable
{
    private static readonly Epoch first = new(1, 1), second = new(1, 4);

    private sealed record Asked(HookAction Action, Epoch Epoch, TaskCompletionSource<string?> Answer, CancellationToken Cancellation);

    private readonly Channel<Asked> calls = Channel.CreateUnbounded<Asked>();
    private readonly ConcurrentQueue<string> told = new();
    private readonly HurryingTime time = new();
    private readonly CancellationTokenSource stopping = new();
    private readonly HookDuty duty;
    private readonly Task work;

    public HookDutyTests()
    {
        duty = new HookDuty(() => new VipHookSpec(["hook"]), CallAsync, time, told.Enqueue);
        work = duty.RunAsync(stopping.Token);
    }

    [Fact]
    public async Task Held_IsTaken_AndAgainOnceAFormerOwnersCallMustBeOver_AndThenNowAndThen()
    {
        duty.Hold(first);
        for (var i = 0; i < 3; i++) await AnsweredAsync(HookAction.Take, first, null);
        await NextAsync();
        Assert.Equal([20, 30, 30], time.Waits.Take(3).Select(wait => wait.TotalSeconds));
        Assert.Empty(told);
        Assert.False(duty.Fails);
    }

    [Fact]
    public async Task Take_Fails_IsRepeatedLaterAndLater_AndSaidSo()
    {
        duty.Hold(first);
        for (var i = 0; i < HookDuty.FailuresThatCount; i++)
        {
            Assert.False(duty.Fails);
            await AnsweredAsync(HookAction.Take, first, "no");
        }
        (await NextAsync()).Answer.SetResult(null);
        await NextAsync();
        Assert.Equal([1, 2, 4, 20], time.Waits.Take(4).Select(wait => wait.TotalSeconds));
        Assert.Equal(["no", "no", "no"], told);
        Assert.False(duty.Fails);
    }

    [Fact]
    public async Task Take_FailsTimeAfterTime_Counts()
    {
        duty.Hold(first);
        for (var i = 0; i < HookDuty.FailuresThatCount; i++) await AnsweredAsync(HookAction.Take, first, "no");
        var next = await NextAsync();
        Assert.True(duty.Fails);
        duty.Hold(null);
        await AnsweredAsync(HookAction.Release, first, null);
        Assert.True(next.Cancellation.IsCancellationRequested);
        Assert.False(duty.Fails);
    }

    [Fact]
    public async Task Take_FailsOnceItHasWorked_MovesNothing()
    {
        duty.Hold(first);
        await AnsweredAsync(HookAction.Take, first, null);
        for (var i = 0; i < 2 * HookDuty.FailuresThatCount; i++) await AnsweredAsync(HookAction.Take, first, "the cloud is down");
        // It is said just after the answer.
        while (told.Count < 2 * HookDuty.FailuresThatCount) await Task.Delay(1, TestContext.Current.CancellationToken);
        Assert.False(duty.Fails);
    }

    [Fact]
    public async Task LeaseEnds_WhileTakeRuns_ItIsCancelledAndReleaseFollows()
    {
        duty.Hold(first);
        var running = await NextAsync();
        duty.Hold(null);
        await AnsweredAsync(HookAction.Release, first, null);
        Assert.True(running.Cancellation.IsCancellationRequested);
        await IdleAsync();
    }

    [Fact]
    public async Task Release_Fails_IsTriedThreeTimes()
    {
        duty.Hold(first);
        await AnsweredAsync(HookAction.Take, first, null);
        await NextAsync();
        duty.Hold(null);
        for (var i = 0; i < 3; i++) await AnsweredAsync(HookAction.Release, first, "no");
        await IdleAsync();
        Assert.False(calls.Reader.TryRead(out _));
    }

    [Fact]
    public async Task Lease_IsHeldAnew_ReleaseGivesWayToTake()
    {
        duty.Hold(first);
        await AnsweredAsync(HookAction.Take, first, null);
        await NextAsync();
        duty.Hold(null);
        var releasing = await NextAsync();
        duty.Hold(second);
        await AnsweredAsync(HookAction.Take, second, null);
        Assert.Equal(HookAction.Release, releasing.Action);
        Assert.True(releasing.Cancellation.IsCancellationRequested);
    }

    [Fact]
    public async Task NeverHeld_NothingIsCalled()
    {
        duty.Hold(null);
        Assert.True(duty.IsIdle);
        duty.Hold(first);
        Assert.False(duty.IsIdle);
        Assert.Equal(HookAction.Take, (await NextAsync()).Action);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await work;
        duty.Dispose();
        stopping.Dispose();
    }

    private async Task<string?> CallAsync(HookAction action, Epoch epoch, CancellationToken cancellation)
    {
        var asked = new Asked(action, epoch, new(TaskCreationOptions.RunContinuationsAsynchronously), cancellation);
        calls.Writer.TryWrite(asked);
        return await asked.Answer.Task.WaitAsync(cancellation);
    }

    private async Task<Asked> NextAsync() => await calls.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken);

    private async Task AnsweredAsync(HookAction action, Epoch epoch, string? problem)
    {
        var asked = await NextAsync();
        Assert.Equal((action, epoch), (asked.Action, asked.Epoch));
        asked.Answer.SetResult(problem);
    }

    private async Task IdleAsync()
    {
        for (var until = Environment.TickCount64 + 10_000; !duty.IsIdle; await Task.Delay(5, TestContext.Current.CancellationToken)) Assert.True(Environment.TickCount64 < until, "something is left to be called");
    }

    /// <summary>Whoever waits is let go at once; for how long he would have waited is kept.</summary>
    private sealed class HurryingTime : TimeProvider
    {
        public ConcurrentQueue<TimeSpan> Waits { get; } = new();

        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            Waits.Enqueue(dueTime);
            return System.CreateTimer(callback, state, TimeSpan.Zero, Timeout.InfiniteTimeSpan);
        }
    }
}
