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
    private readonly OcfSetting _setting;
    private readonly Action<InstanceFacts> _report;
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly Lock _gate = new();
    private readonly HostProcess _process;
    private readonly Backoff _backoff = new();
    private readonly ResourceSteps _steps;
    private CancellationTokenSource? _checking;
    private InstanceOrder? _order;
    private ResourceContext? _resource;
    private AgentActions? _actions;
    private DateTime _startedAt;
    private bool _wanted, _ending, _uncertain;

    public OcfInstance(string service, OcfSetting setting, Action<InstanceFacts> report)
    {
        _setting = setting;
        _report = report;
        _process = new HostProcess(setting, service);
        _steps = new ResourceSteps(setting);
        Facts = new InstanceFacts(service, InstanceStatus.Stopped, Core.Model.Health.Unknown);
    }

    public InstanceFacts Facts { get; private set; }
    public ResourceContext? Resource => _resource;
    private OcfDriverSpec Spec => (OcfDriverSpec)_order!.Spec.Driver;

    public async Task<ActionResult> StartAsync(InstanceOrder order, RunningInstance? left, CancellationToken cancellation)
    {
        _wanted = true;
        await TakeTurnAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (Facts.Status is InstanceStatus.Running && _order is { } running)
            {
                if (SameWork(running, order))
                {
                    await TakeAsync(order, cancellation).ConfigureAwait(false);
                    return ActionResult.Success;
                }

                var stopped = await StopInTurnAsync(cancellation).ConfigureAwait(false);
                if (!stopped.Succeeded)
                {
                    return stopped;
                }
            }

            _order = order;
            return await BeginAsync(left, cancellation).ConfigureAwait(false);
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
            if (left is not null && _actions is null)
            {
                await AttachAsync(left, cancellation).ConfigureAwait(false);
            }

            return await StopInTurnAsync(cancellation).ConfigureAwait(false);
        }
        finally
        {
            _turn.Release();
        }
    }

    public Task<ActionResult> PromoteAsync(Epoch epoch, CancellationToken cancellation) => InTurnAsync(async (actions, resource) =>
    {
        var (outcome, changed) = await ResourceSteps.PromoteAsync(actions, resource, epoch, Spec, cancellation).ConfigureAwait(false);
        Know(changed);
        Set(Facts with { Epoch = changed.Epoch, Detail = outcome.Succeeded ? "" : outcome.Reason ?? "" });
        return outcome;
    }, cancellation);

    public Task<ActionResult> DemoteAsync(CancellationToken cancellation) => InTurnAsync(async (actions, resource) =>
    {
        var (outcome, changed) = await ResourceSteps.DemoteAsync(actions, resource, cancellation).ConfigureAwait(false);
        Know(changed);
        Set(Facts with { Epoch = changed.Epoch, Detail = outcome.Succeeded ? "" : outcome.Reason ?? "" });
        return outcome;
    }, cancellation);

    public void OnLaunched(Launched launched) => _process.OnLaunched(launched);

    /// <summary>A host that is there at the guard's hello.</summary>
    public void OnStillThere(RunningInstance running) => _process.Adopt(running);

    public void OnGone()
    {
        if (_process.ProcessId is { } process)
        {
            OnExited(new Exited(Facts.Service, process, -1));
        }
    }

    public void OnExited(Exited exited)
    {
        if (!_process.OnExited(exited.ProcessId))
        {
            return;
        }

        lock (_gate)
        {
            _actions = null;
            if (_ending)
            {
                return;
            }

            // The guard ended the tree (the lease is over), or somebody killed the host. What the agent holds beside
            // processes - an address, a mount - is still there: the agent's own stop takes it back.
            _checking?.Cancel();
            _uncertain = true;
            Set(Facts with
            {
                Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, ProcessId = null, Epoch = null,
                Detail = "its processes were ended from outside", Restarts = Facts.Restarts + 1,
            });
        }

        _ = RecoverAsync("");
    }

    public async ValueTask DisposeAsync()
    {
        if (_checking is { } checking)
        {
            await checking.CancelAsync().ConfigureAwait(false);
        }
    }

    private bool SameWork(InstanceOrder running, InstanceOrder order)
    {
        var (had, has) = ((OcfDriverSpec)running.Spec.Driver, (OcfDriverSpec)order.Spec.Driver);
        return had.Agent == has.Agent && (running.Epoch == order.Epoch || _resource is { Promotable: true })
            && had.Parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal).SequenceEqual(has.Parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal));
    }

    // The same resource goes on under another version of the spec, or follows another node.
    private async Task TakeAsync(InstanceOrder order, CancellationToken cancellation)
    {
        _order = order;
        if (_resource is { } resource && _actions is { } actions)
        {
            var changed = ResourceSteps.Renew(resource, order);
            Know(changed);
            if (changed.PromotedNode != resource.PromotedNode && changed is { PromotedNode: { } promoted, Promoted: false })
            {
                await actions.NotifyAsync(changed, "post", "promote", promoted, cancellation).ConfigureAwait(false);
            }

            Set(Facts with { Version = order.Version });
            BeginChecks();
        }
    }

    private async Task<ActionResult> BeginAsync(RunningInstance? left, CancellationToken cancellation)
    {
        var (resource, problem) = await _steps.ResolveAsync(_order!, cancellation).ConfigureAwait(false);
        if (resource is null)
        {
            return Fail(problem);
        }

        Set(Facts with { Status = InstanceStatus.Starting, Health = Core.Model.Health.Unknown, Detail = "" });
        if (left is not null)
        {
            await AttachAsync(left, cancellation).ConfigureAwait(false);
            var request = Request(resource);
            if (_actions is not null && left.Request.SameAs(request) && await AdoptAsync(resource, cancellation).ConfigureAwait(false))
            {
                return ActionResult.Success;
            }

            // Another order than now, or it does not run rightly: it ends in order first.
            var stopped = await StopInTurnAsync(cancellation).ConfigureAwait(false);
            if (!stopped.Succeeded)
            {
                return stopped;
            }
        }

        return await LaunchAsync(resource, cancellation).ConfigureAwait(false);
    }

    private LaunchRequest Request(ResourceContext resource) => _setting.Request(resource.Service, Spec.Agent, Spec.Parameters, LeaseOf(_order!, resource));

    // A promotable resource starts without right and is promoted under it; an ordinary one starts under it.
    private static Epoch? LeaseOf(InstanceOrder order, ResourceContext resource) => resource.Promotable ? null : order.Epoch;

    private async Task<ActionResult> LaunchAsync(ResourceContext resource, CancellationToken cancellation)
    {
        _ending = false;
        var (host, reason) = await _process.LaunchAsync(Request(resource), cancellation).ConfigureAwait(false);
        if (host is null)
        {
            return Fail(reason);
        }

        var actions = _actions = new AgentActions(_setting.Agents, _setting.Environment, host);
        host.Remember(ResourceMemo.Write(resource));
        _resource = resource; // The tools that its start calls ask who is promoted.
        var (started, changed) = await _steps.StartAsync(actions, resource, _order!, cancellation).ConfigureAwait(false);
        if (started.Succeeded)
        {
            _uncertain = false;
            BecomeRunning(changed, started.Reason ?? "");
            return ActionResult.Success;
        }

        var stopped = await StopInTurnAsync(cancellation).ConfigureAwait(false);
        return Fail(stopped.Succeeded ? started.Reason! : $"{started.Reason}; then {stopped.Reason}");
    }

    private async Task AttachAsync(RunningInstance left, CancellationToken cancellation)
    {
        _ending = false;
        _process.Adopt(left);
        try
        {
            var host = await _setting.Server.HostAsync(left.Instance, left.ProcessId, TimeSpan.FromSeconds(5), cancellation).ConfigureAwait(false);
            _actions = new AgentActions(_setting.Agents, _setting.Environment, host);
            _resource = ResourceMemo.Read(host.Memo);
        }
        catch (TimeoutException)
        {
            _actions = null; // It hangs: it is killed, and a new one stops what it left.
        }
    }

    private async Task<bool> AdoptAsync(ResourceContext resource, CancellationToken cancellation)
    {
        if (_resource is not { } remembered)
        {
            return false;
        }

        var outcome = await _actions!.MonitorAsync(remembered, Spec.MonitorTimeout, TimeSpan.Zero, cancellation).ConfigureAwait(false);
        if (!OcfExit.Runs(outcome.Code) || OcfExit.Promoted(outcome.Code) != remembered.Promoted)
        {
            return false;
        }

        BecomeRunning(ResourceSteps.Renew(resource with { Promoted = remembered.Promoted, Epoch = remembered.Epoch }, _order!), "");
        return true;
    }

    private async Task<ActionResult> StopInTurnAsync(CancellationToken cancellation)
    {
        _checking?.Cancel();
        if (_resource is { } resource && (_actions is not null || _uncertain))
        {
            Set(Facts with { Status = InstanceStatus.Stopping });
            if (_actions is null)
            {
                _ending = false;
                var (host, reason) = await _process.LaunchAsync(_setting.Request(resource.Service, resource.Agent.ToString(), resource.Parameters, null), cancellation).ConfigureAwait(false);
                if (host is null)
                {
                    return Fail($"what it left behind could not be taken back: {reason}");
                }

                _actions = new AgentActions(_setting.Agents, _setting.Environment, host);
            }

            var outcome = await ResourceSteps.StopAsync(_actions, resource, cancellation).ConfigureAwait(false);
            _uncertain = !outcome.Succeeded;
            _ending = true;
            await _process.EndAsync(cancellation).ConfigureAwait(false);
            _actions = null;
            if (!outcome.Succeeded)
            {
                return Fail($"{outcome.Text}; its processes were killed, but what else it holds is not known: "
                    + "this node must be fenced before the service may start elsewhere");
            }
        }

        _ending = true;
        if (!await _process.EndAsync(cancellation).ConfigureAwait(false))
        {
            return Fail("its host did not end even when killed: this node must be fenced before the service may start elsewhere");
        }

        _resource = null;
        Set(Facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown, ProcessId = null, Epoch = null, Detail = "" });
        return ActionResult.Success;
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

            var stopped = await StopInTurnAsync(CancellationToken.None).ConfigureAwait(false);
            if (!stopped.Succeeded)
            {
                return;
            }

            if (!_wanted)
            {
                return;
            }

            Set(Facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = why.Length > 0 ? why : "its processes were ended from outside" });
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
        if (_wanted && _order is { } order && Facts.Status == InstanceStatus.Failed)
        {
            await StartAsync(order, null, CancellationToken.None).ConfigureAwait(false);
        }
    }

    private void BecomeRunning(ResourceContext resource, string detail)
    {
        _startedAt = DateTime.UtcNow;
        Know(resource);
        Set(Facts with
        {
            Status = InstanceStatus.Running, Health = Core.Model.Health.Healthy, ProcessId = _process.ProcessId, Version = _order!.Version, Detail = detail,
            Epoch = resource.Epoch,
        });
        BeginChecks();
    }

    private void Know(ResourceContext resource)
    {
        _resource = resource;
        _actions?.Host.Remember(ResourceMemo.Write(resource));
    }

    private void BeginChecks()
    {
        _checking?.Cancel();
        _checking = new CancellationTokenSource();
        _ = CheckAsync(Spec.MonitorEvery, Spec.MonitorTimeout, _checking.Token);
    }

    private async Task CheckAsync(TimeSpan every, TimeSpan timeout, CancellationToken stop)
    {
        var verdicts = new MonitorVerdicts();
        using var timer = new PeriodicTimer(every);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                await _turn.WaitAsync(stop).ConfigureAwait(false);
                try
                {
                    if (_actions is not { } actions || _resource is not { } resource)
                    {
                        return;
                    }

                    var outcome = await actions.MonitorAsync(resource, timeout, every, stop).ConfigureAwait(false);
                    if (stop.IsCancellationRequested)
                    {
                        return;
                    }

                    await ApplyAsync(verdicts.Of(outcome, resource), actions, resource, stop).ConfigureAwait(false);
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // An action takes its turn, or it has ended.
        }
    }

    private async Task ApplyAsync(MonitorVerdict verdict, AgentActions actions, ResourceContext resource, CancellationToken stop)
    {
        switch (verdict.Step)
        {
            case MonitorStep.Nothing:
                var score = await _steps.ScoreAsync(resource, stop).ConfigureAwait(false);
                Set(Facts with { Health = verdict.Health, Detail = string.Join("; ", new[] { verdict.Detail, score }.Where(text => text.Length > 0)) });
                break;
            case MonitorStep.NoteDemotion:
                Know(resource with { Promoted = false, Epoch = null });
                Set(Facts with { Epoch = null, Health = verdict.Health, Detail = verdict.Detail });
                break;
            case MonitorStep.Demote:
                Set(Facts with { Health = Core.Model.Health.Unhealthy, Detail = verdict.Detail });
                var (demoted, changed) = await ResourceSteps.DemoteAsync(actions, resource with { Promoted = true }, stop).ConfigureAwait(false);
                Know(changed);
                if (!demoted.Succeeded)
                {
                    _ = RecoverAsync(demoted.Reason!);
                }

                break;
            case MonitorStep.Recover:
                lock (_gate)
                {
                    _checking?.Cancel();
                    Set(Facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = verdict.Detail, Restarts = Facts.Restarts + 1, Epoch = null });
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
            if (Facts.Status is not InstanceStatus.Running || _actions is not { } actions || _resource is not { } resource)
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
        _checking?.Cancel();
        return _turn.WaitAsync(cancellation);
    }

    private ActionResult Fail(string reason)
    {
        Set(Facts with { Status = InstanceStatus.Failed, Health = Core.Model.Health.Unhealthy, Detail = reason, ProcessId = _process.ProcessId, Epoch = null });
        return ActionResult.Failure(reason);
    }

    private void Set(InstanceFacts facts)
    {
        if (facts != Facts)
        {
            Facts = facts;
            _report(facts);
        }
    }
}
