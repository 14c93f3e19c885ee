using Evenkeel.Core.Model;
using Evenkeel.Services.VirtualIp;

namespace Evenkeel.Agent.Host.VirtualIp;

/// <summary>
/// Keeps the network told of one virtual IP: calls <c>take</c> while the lease is held, again after a failure and now and then,
/// <c>release</c> once it has ended. One call at a time; a <c>take</c> that runs when the lease ends is killed.
/// </summary>
internal sealed class HookDuty(Func<VipHookSpec?> hook, Func<HookAction, Epoch, CancellationToken, Task<string?>> call, TimeProvider time, Action<string> log) : IDisposable
{
    /// <summary>So many failed calls of <c>take</c> before the first that succeeds: the network does not listen to this node.</summary>
    public const int FailuresThatCount = 3;
    private const int ReleaseAttempts = 3;
    private static readonly TimeSpan firstPause = TimeSpan.FromSeconds(1), longestPause = TimeSpan.FromSeconds(30);

    private readonly Lock gate = new();
    private Epoch? held;
    private CancellationTokenSource changed = new();
    private volatile int failures;
    private volatile bool idle = true;

    /// <summary>The address is held here and the network cannot be told so.</summary>
    public bool Fails => failures >= FailuresThatCount;

    /// <summary>Nothing is left to be called.</summary>
    public bool IsIdle => idle;

    /// <param name="epoch">Of the lease; null: it is not held.</param>
    public void Hold(Epoch? epoch)
    {
        lock (gate)
        {
            if (held == epoch) return;
            held = epoch;
            idle = false;
            // Its callbacks end a running call, which takes a while; nobody's concern here.
            _ = changed.CancelAsync();
            changed = new CancellationTokenSource();
        }
    }

    /// <summary>When <see cref="RunAsync"/> has ended.</summary>
    public void Dispose() => changed.Dispose();

    public async Task RunAsync(CancellationToken stopping)
    {
        Epoch? taken = null;
        while (!stopping.IsCancellationRequested)
        {
            Epoch? epoch;
            CancellationToken change;
            lock (gate) (epoch, change) = (held, changed.Token);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(stopping, change);
            try
            {
                if (epoch is { } own)
                {
                    taken = own;
                    await TakeAsync(own, either.Token).ConfigureAwait(false);
                }
                else
                {
                    if (taken is { } former) await ReleaseAsync(former, either.Token).ConfigureAwait(false);
                    taken = null;
                    lock (gate) idle = held is null;
                    await Task.Delay(Timeout.InfiniteTimeSpan, either.Token).ConfigureAwait(false);
                }
            }
            catch (OperationCanceledException)
            {
                // Another state of the lease, or the end.
            }
        }
    }

    private async Task TakeAsync(Epoch epoch, CancellationToken cancellation)
    {
        var pause = firstPause;
        failures = 0;
        // A call of the former owner's may be under way for as long as one may take: ours must be the last.
        var confirmed = false;
        try
        {
            while (hook() is { } current)
            {
                if (await call(HookAction.Take, epoch, cancellation).ConfigureAwait(false) is { } problem)
                {
                    log(problem);
                    // Once it has worked, the network sends here: what fails later is told, and moves nothing.
                    if (!confirmed) failures++;
                    await Task.Delay(pause, time, cancellation).ConfigureAwait(false);
                    pause = 2 * pause < longestPause ? 2 * pause : longestPause;
                    continue;
                }
                failures = 0;
                pause = firstPause;
                var next = confirmed || current.Every < current.TimeLimit ? current.Every : current.TimeLimit;
                confirmed = true;
                await Task.Delay(next, time, cancellation).ConfigureAwait(false);
            }
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellation).ConfigureAwait(false);
        }
        finally
        {
            failures = 0;
        }
    }

    private async Task ReleaseAsync(Epoch epoch, CancellationToken cancellation)
    {
        for (var attempt = 1; attempt <= ReleaseAttempts && hook() is not null; attempt++)
        {
            if (await call(HookAction.Release, epoch, cancellation).ConfigureAwait(false) is not { } problem) return;
            log(problem);
            if (attempt < ReleaseAttempts) await Task.Delay(firstPause, time, cancellation).ConfigureAwait(false);
        }
    }
}
