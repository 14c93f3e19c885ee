using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Agents;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Ocf;

/// <summary>
/// One resource on this node. Its actions take turns; what its monitors find becomes its facts, and what ended by itself is
/// stopped in order and started again with back-off.
/// </summary>
internal sealed class OcfInstance : IAsyncDisposable
{
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _gate = new();
    private readonly InstanceReport _report;
    private readonly Backoff _backoff = new();
    private readonly ResourceSteps _steps;
    private readonly HostedResource _hosted;
    private readonly MonitorLoop _monitor;
    private DateTime _startedAt;
    private bool _wanted;

    public OcfInstance(string service, OcfSetting setting, Action<InstanceFacts> report)
    {
        _report = new InstanceReport(service, report);
        _steps = new ResourceSteps(setting);
        _hosted = new HostedResource(service, setting, _steps, _report);
        _monitor = new MonitorLoop(_hosted, _turn, ApplyAsync);
    }

    public InstanceFacts Facts => _report.Facts;
    public ResourceContext? Resource => _hosted.Resource;
    private OcfDriverSpec Spec => (OcfDriverSpec)_hosted.Order!.Spec.Driver;

    public async Task<ActionResult> StartAsync(InstanceOrder order, RunningInstance? left, CancellationToken cancellation)
    {
        _wanted = true;
        await TakeTurnAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (Facts.Status is InstanceStatus.Running && _hosted.Order is not null)
            {
                if (_hosted.Does(order))
                {
                    await TakeAsync(order, cancellation).ConfigureAwait(false);
                    return ActionResult.Success;
                }

                var stopped = await EndAsync(cancellation).ConfigureAwait(false);
                if (!stopped.Succeeded)
                {
                    return stopped;
                }
            }

            _hosted.Order = order;
            var begun = await _hosted.BeginAsync(left, cancellation).ConfigureAwait(false);
            if (begun.Succeeded)
            {
                _startedAt = DateTime.UtcNow;
                BeginChecks();
            }

            return begun;
        }
        finally
        {
            _turn.Release();
        }
    }

    public async Task<ActionResult> StopAsync(RunningInstance? left, CancellationToken cancellation)
    {
        _wanted = false;
        await TakeTurnAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (left is not null && _hosted.Actions is null)
            {
                await _hosted.AttachAsync(left, cancellation).ConfigureAwait(false);
            }

            return await EndAsync(cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    public Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation) => InTurnAsync(async (actions, resource) =>
    {
        var (outcome, changed) = await ResourceSteps.PromoteAsync(actions, resource, epoch, Spec, cancellation).ConfigureAwait(false);
        await KnowAsync(changed, outcome, cancellation).ConfigureAwait(false);
        return outcome;
    }, cancellation);

    public Task<ActionResult> DemoteAsync(CancellationToken cancellation) => InTurnAsync(async (actions, resource) =>
    {
        var (outcome, changed) = await ResourceSteps.DemoteAsync(actions, resource, cancellation).ConfigureAwait(false);
        await KnowAsync(changed, outcome, cancellation).ConfigureAwait(false);
        if (outcome.Succeeded)
        {
            return outcome;
        }

        // As Pacemaker does: nobody knows what it is now, and to ask again gives the same answer. Stopped, it is no longer active.
        var stopped = await EndAsync(cancellation).ConfigureAwait(false);
        return stopped.Succeeded ? stopped : ActionResult.Failure($"{outcome.Reason}; then {stopped.Reason}");
    }, cancellation);

    public void OnLaunched(Launched launched) => _hosted.Process.OnLaunched(launched);

    /// <summary>A host that is there at the guard's hello.</summary>
    public void OnStillThere(RunningInstance running) => _hosted.Process.Adopt(running);

    public void OnGone()
    {
        if (_hosted.Process.ProcessId is { } process)
        {
            OnExited(new Exited(Facts.Service, process, -1));
        }
    }

    public void OnExited(Exited exited)
    {
        // Who ends it waits for all of it, and says so if that is in vain.
        if ((exited.Left && _hosted.Ending) || !_hosted.Process.OnExited(exited.ProcessId))
        {
            return;
        }

        lock (_gate)
        {
            _hosted.Forget(uncertain: !_hosted.Ending);
            if (_hosted.Ending)
            {
                return;
            }

            // The guard ended the tree (the lease is over), or somebody killed the host. What the agent holds beside
            // processes - an address, a mount - is still there: the agent's own stop takes it back, and until then it has not ended.
            _monitor.Stop();
            Set(facts => facts with
            {
                Status = InstanceStatus.Stopping, Health = Core.Model.Health.Unhealthy, ProcessId = null, Epoch = null,
                Detail = "its processes were ended from outside", Restarts = facts.Restarts + 1,
            });
        }

        _ = RecoverAsync("");
    }

    public ValueTask DisposeAsync()
    {
        _monitor.Dispose();
        return ValueTask.CompletedTask;
    }

    private Task<ActionResult> EndAsync(CancellationToken cancellation)
    {
        _monitor.Stop();
        return _hosted.StopAsync(cancellation);
    }

    // The same resource goes on under another version of the spec, or follows another node.
    private async Task TakeAsync(InstanceOrder order, CancellationToken cancellation)
    {
        _hosted.Order = order;
        if (_hosted.Resource is { } resource && _hosted.Actions is { } actions)
        {
            var changed = ResourceSteps.Renew(resource, order);
            _hosted.Know(changed);
            if (changed.PromotedNode != resource.PromotedNode && changed is { PromotedNode: { } promoted, Promoted: false })
            {
                await actions.NotifyAsync(changed, "post", "promote", promoted, cancellation).ConfigureAwait(false);
            }

            Set(facts => facts with { Version = order.Version });
            BeginChecks();
        }
    }

    /// <summary>Stops what is left in order and, while it is wanted, starts it again after a pause.</summary>
    private async Task RecoverAsync(string why)
    {
        var ranFor = DateTime.UtcNow - _startedAt;
        await _turn.WaitAsync().ConfigureAwait(false);
        try
        {
            if (Facts.Status is InstanceStatus.Stopped)
            {
                return;
            }

            var stopped = await EndAsync(CancellationToken.None).ConfigureAwait(false);
            if (!stopped.Succeeded)
            {
                return;
            }

            if (!_wanted)
            {
                return;
            }

            Set(facts => facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = why.Length > 0 ? why : "its processes were ended from outside" });
        }
        catch (OperationCanceledException)
        {
            return;
        }
        finally
        {
            _turn.Release();
        }

        await Task.Delay(_backoff.Next(ranFor)).ConfigureAwait(false);
        if (_wanted && _hosted.Order is { } order && Facts.Status == InstanceStatus.Failed)
        {
            await StartAsync(order, null, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task KnowAsync(ResourceContext changed, ActionResult outcome, CancellationToken cancellation)
    {
        _hosted.Know(changed);
        var score = await _steps.ScoreAsync(changed, cancellation).ConfigureAwait(false);
        Set(facts => facts with { Epoch = changed.Epoch, PromotionScore = score, Detail = outcome.Succeeded ? "" : outcome.Reason ?? "" });
    }

    private void BeginChecks() => _monitor.Begin(Spec.MonitorEvery, Spec.MonitorTimeout);

    private async Task ApplyAsync(MonitorVerdict verdict, AgentActions actions, ResourceContext resource, CancellationToken stop)
    {
        switch (verdict.Step)
        {
            case MonitorStep.Nothing:
                var score = await _steps.ScoreAsync(resource, stop).ConfigureAwait(false);
                Set(facts => facts with { Health = verdict.Health, PromotionScore = score, Detail = string.Join("; ", new[] { verdict.Detail, ResourceSteps.Words(score) }.Where(text => text.Length > 0)) });
                break;
            case MonitorStep.NoteDemotion:
                _hosted.Know(resource with { Promoted = false, Epoch = null });
                Set(facts => facts with { Epoch = null, Health = verdict.Health, Detail = verdict.Detail });
                break;
            case MonitorStep.Demote:
                Set(facts => facts with { Health = Core.Model.Health.Unhealthy, Detail = verdict.Detail });
                var (demoted, changed) = await ResourceSteps.DemoteAsync(actions, resource with { Promoted = true }, stop).ConfigureAwait(false);
                _hosted.Know(changed);
                if (!demoted.Succeeded)
                {
                    _ = RecoverAsync(demoted.Reason!);
                }

                break;
            case MonitorStep.Recover:
                lock (_gate)
                {
                    _monitor.Stop();
                    Set(facts => facts with { Status = InstanceStatus.Stopping, Health = Core.Model.Health.Unhealthy, Detail = verdict.Detail, Restarts = facts.Restarts + 1 });
                }

                _ = RecoverAsync(verdict.Detail);
                break;
        }
    }

    private async Task<ActionResult> InTurnAsync(Func<AgentActions, ResourceContext, Task<ActionResult>> act, CancellationToken cancellation)
    {
        await TakeTurnAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (Facts.Status is not InstanceStatus.Running || _hosted.Actions is not { } actions || _hosted.Resource is not { } resource)
            {
                return ActionResult.Failure($"{Facts.Service} does not run here");
            }

            var result = await act(actions, resource).ConfigureAwait(false);
            BeginChecks();
            return result;
        }
        finally
        {
            _turn.Release();
        }
    }

    // A monitor that is under way gives way: to interrupt it changes nothing.
    private Task TakeTurnAsync(CancellationToken cancellation)
    {
        _monitor.Stop();
        return _turn.WaitAsync(cancellation);
    }

    private void Set(Func<InstanceFacts, InstanceFacts> change) => _report.Set(change);
}
