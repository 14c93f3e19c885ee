using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Systemd;

/// <summary>One unit on this node: started and stopped by jobs, looked at every second.</summary>
internal sealed class SystemdInstance(string service, Systemctl systemctl, DropIn dropIn, UnitMemory? memory, TimeSpan every, Action<InstanceFacts> report) : IAsyncDisposable
{
    private static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(5);
    private readonly SemaphoreSlim _turn = new(1, 1);
    private CancellationTokenSource? _watching;
    private InstanceOrder? _order;
    private SystemdDriverSpec? _unit;

    public InstanceFacts Facts { get; private set; } = new(service, InstanceStatus.Stopped, Core.Model.Health.Unknown);
    private SystemdDriverSpec Spec => _unit!;

    /// <summary>An earlier agent started it; whether it still runs shows when it is started or stopped again.</summary>
    public void Adopt(RememberedUnit left)
    {
        _unit = left.Driver;
        Facts = Facts with { Status = InstanceStatus.Running, Epoch = left.Epoch };
    }

    public async Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (_unit is { } before && before.Unit != ((SystemdDriverSpec)order.Spec.Driver).Unit
                && await StopInTurnAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } stopped)
            {
                return stopped;
            }

            _order = order;
            _unit = (SystemdDriverSpec)order.Spec.Driver;
            return await StartInTurnAsync(cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<ActionResult> StopAsync(CancellationToken cancellation)
    {
        await _turn.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await StopInTurnAsync(cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_watching is { } watching)
        {
            await watching.CancelAsync().ConfigureAwait(false);
        }
    }

    private async Task<ActionResult> StartInTurnAsync(CancellationToken cancellation)
    {
        var (state, reason) = await systemctl.ShowAsync(Spec.Unit, cancellation).ConfigureAwait(false);
        if (state is null)
        {
            return Fail(reason);
        }

        if (!state.IsLoaded)
        {
            return Fail($"the unit {Spec.Unit} cannot be used on this node: {(state.Load.Length == 0 ? "unknown" : state.Load)}");
        }

        try
        {
            if (dropIn.Write(Spec.Unit) && await systemctl.ReloadAsync(cancellation).ConfigureAwait(false) is { Succeeded: false } reload)
            {
                return Fail($"daemon-reload: {reload.Reason}");
            }

            memory?.Remember(new RememberedUnit(service, Spec, _order!.Epoch));
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Fail($"what the cluster must write about it: {exception.Message}");
        }

        if (!state.IsActive)
        {
            Set(Facts with { Status = InstanceStatus.Starting, Health = Core.Model.Health.Unknown, Detail = "" });
            if (state.Active == "failed")
            {
                // A unit that failed too often is refused otherwise.
                await systemctl.ResetFailedAsync(Spec.Unit, cancellation).ConfigureAwait(false);
            }

            var job = await systemctl.StartAsync(Spec.Unit, Spec.StartTimeout, cancellation).ConfigureAwait(false);
            (state, reason) = await systemctl.ShowAsync(Spec.Unit, cancellation).ConfigureAwait(false);
            if (!job.Succeeded || state is not { IsActive: true })
            {
                var why = $"start of {Spec.Unit}: {(job.Succeeded ? "the job is done, but it is not active" : job.Reason)}; {state?.Text ?? reason}";
                // What hangs between, or whose state is not known, may yet become active.
                return state is { IsGone: true } || await StopInTurnAsync(cancellation).ConfigureAwait(false) is { Succeeded: true } ? Fail(why) : ActionResult.Failure(why);
            }
        }

        BecomeRunning(state);
        return ActionResult.Success;
    }

    private async Task<ActionResult> StopInTurnAsync(CancellationToken cancellation)
    {
        _watching?.Cancel();
        if (_unit is null)
        {
            return ActionResult.Success;
        }

        Set(Facts with { Status = InstanceStatus.Stopping });
        var job = await systemctl.StopAsync(Spec.Unit, Spec.StopTimeout, cancellation).ConfigureAwait(false);
        var (state, reason) = await systemctl.ShowAsync(Spec.Unit, cancellation).ConfigureAwait(false);
        if (state is not { IsGone: true })
        {
            // It had its time. SIGKILL to its whole cgroup, then the stop job can end.
            await systemctl.KillAsync(Spec.Unit, cancellation).ConfigureAwait(false);
            job = await systemctl.StopAsync(Spec.Unit, KillPatience, cancellation).ConfigureAwait(false);
            (state, reason) = await systemctl.ShowAsync(Spec.Unit, cancellation).ConfigureAwait(false);
        }

        if (state is not { IsGone: true })
        {
            return Fail(InstanceStatus.Stuck, $"stop of {Spec.Unit}: {(job.Succeeded ? "the job is done" : job.Reason)}; {state?.Text ?? reason}: "
                + "this node must be fenced before the service may start elsewhere");
        }

        memory?.Forget(service);
        Set(Facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown, ProcessId = null, Epoch = null, Detail = "" });
        return ActionResult.Success;
    }

    private void BecomeRunning(UnitState state)
    {
        _watching?.Cancel();
        _watching = new CancellationTokenSource();
        Set(Facts with
        {
            Status = InstanceStatus.Running, Health = Core.Model.Health.Healthy, ProcessId = state.MainProcess, Version = _order!.Version, Epoch = _order.Epoch,
            Detail = state.StartsAtBoot ? $"{Spec.Unit} is enabled at boot: run 'systemctl disable {Spec.Unit}', or it starts before the cluster decides" : "",
        });
        _ = WatchAsync(_watching.Token);
    }

    private async Task WatchAsync(CancellationToken stop)
    {
        using var timer = new PeriodicTimer(every);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                await _turn.WaitAsync(stop).ConfigureAwait(false);
                try
                {
                    var (state, reason) = await systemctl.ShowAsync(Spec.Unit, stop).ConfigureAwait(false);
                    if (state is null)
                    {
                        Set(Facts with { Health = Core.Model.Health.Unknown, Detail = reason });
                    }
                    else if (state.IsGone)
                    {
                        // Restart=no: whether and where it starts again is the cluster's decision.
                        Set(Facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, ProcessId = null, Epoch = null, Detail = state.Text, Restarts = Facts.Restarts + 1 });
                        return;
                    }
                    else
                    {
                        Set(Facts with { Health = state.IsActive ? Core.Model.Health.Healthy : Core.Model.Health.Unhealthy, ProcessId = state.MainProcess });
                    }
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Stopped, or started anew.
        }
    }

    private ActionResult Fail(string reason) => Fail(InstanceStatus.Failed, reason);

    private ActionResult Fail(InstanceStatus status, string reason)
    {
        Set(Facts with { Status = status, Health = Core.Model.Health.Unhealthy, Detail = reason });
        return ActionResult.Failure(reason);
    }

    private void Set(InstanceFacts facts)
    {
        if (facts != Facts)
        {
            Facts = facts;
            report(facts);
        }
    }
}
