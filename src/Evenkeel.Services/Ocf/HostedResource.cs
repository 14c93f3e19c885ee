using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Agents;

namespace Evenkeel.Services.Ocf;

/// <summary>The resource of one instance and the host in which its agent's calls run: begun, adopted, stopped. For one action at a time.</summary>
internal sealed class HostedResource(string service, OcfSetting setting, ResourceSteps steps, InstanceReport report)
{
    private static readonly TimeSpan AttachPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(200);
    private const int Looks = 4;
    private bool _uncertain;

    public HostProcess Process { get; } = new(setting, service);
    /// <summary>The latest order that was acted on.</summary>
    public InstanceOrder? Order { get; set; }
    public ResourceContext? Resource { get; private set; }
    /// <summary>Null while no host of ours runs.</summary>
    public AgentActions? Actions { get; private set; }
    /// <summary>It ends because we said so.</summary>
    public bool Ending { get; private set; }

    private OcfDriverSpec Spec => (OcfDriverSpec)Order!.Spec.Driver;

    /// <summary>What is known of it, here and in its host's memory.</summary>
    public void Know(ResourceContext resource)
    {
        Resource = resource;
        Actions?.Host.Remember(ResourceMemo.Write(resource));
    }

    /// <summary>Its host is gone; what the agent holds beside processes may still be there unless it ended by our word.</summary>
    public void Forget(bool uncertain)
    {
        Actions = null;
        _uncertain |= uncertain;
    }

    /// <summary>Whether what runs does the new order's work without a restart.</summary>
    public bool Does(InstanceOrder order)
    {
        var (had, has) = (Spec, (OcfDriverSpec)order.Spec.Driver);
        return had.Agent == has.Agent && (Order!.Epoch == order.Epoch || Resource is { Promotable: true })
            && had.Parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal).SequenceEqual(has.Parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal));
    }

    /// <summary>Starts it, or adopts what runs.</summary>
    /// <returns>It runs, perhaps with a remark; or why not.</returns>
    public async Task<ActionResult> BeginAsync(RunningInstance? left, CancellationToken cancellation)
    {
        var (resource, problem) = await steps.ResolveAsync(Order!, cancellation).ConfigureAwait(false);
        if (resource is null)
        {
            return Fail(problem);
        }

        report.Set(facts => facts with { Status = InstanceStatus.Starting, Health = Core.Model.Health.Unknown, Detail = "" });
        if (left is not null)
        {
            await AttachAsync(left, cancellation).ConfigureAwait(false);
            if (Actions is not null && left.Request.SameAs(Request(resource)) && await AdoptAsync(resource, cancellation).ConfigureAwait(false))
            {
                return ActionResult.Success;
            }

            // Another order than now, or it does not run rightly: it ends in order first.
            var stopped = await StopAsync(cancellation).ConfigureAwait(false);
            if (!stopped.Succeeded)
            {
                return stopped;
            }
        }

        return await LaunchAsync(resource, cancellation).ConfigureAwait(false);
    }

    /// <summary>Takes the host of an earlier agent process.</summary>
    public async Task AttachAsync(RunningInstance left, CancellationToken cancellation)
    {
        Ending = false;
        Process.Adopt(left);
        try
        {
            var host = await setting.Server.HostAsync(left.Instance, left.ProcessId, AttachPatience, cancellation).ConfigureAwait(false);
            Actions = new AgentActions(setting.Agents, setting.Environment, host);
            Resource = ResourceMemo.Read(host.Memo);
        }
        catch (TimeoutException)
        {
            Actions = null; // It hangs: it is killed, and a new one stops what it left.
        }
    }

    public async Task<ActionResult> StopAsync(CancellationToken cancellation)
    {
        if (Resource is { } resource && (Actions is not null || _uncertain))
        {
            // What was stuck stays so, to others too, until it has ended.
            report.Set(facts => facts.Status is InstanceStatus.Stuck ? facts : facts with { Status = InstanceStatus.Stopping });
            if (Actions is null)
            {
                Ending = false;
                var (host, reason) = await Process.LaunchAsync(setting.Request(resource.Service, resource.Agent.ToString(), resource.Parameters, null), cancellation).ConfigureAwait(false);
                if (host is null)
                {
                    return Fail(Uncertain, $"what it left behind could not be taken back: {reason}");
                }

                Actions = new AgentActions(setting.Agents, setting.Environment, host);
            }

            var outcome = await ResourceSteps.StopAsync(Actions, resource, cancellation).ConfigureAwait(false);
            _uncertain = !outcome.Succeeded;
            Ending = true;
            var killed = await Process.EndAsync(cancellation).ConfigureAwait(false);
            Actions = null;
            if (!outcome.Succeeded && (!killed || !await IsOverAsync(resource, cancellation).ConfigureAwait(false)))
            {
                return Fail(killed ? Uncertain : InstanceStatus.Stuck, $"{outcome.Text}; its processes were killed, but what else it holds is not known"
                    + (Uncertain == InstanceStatus.Stuck ? ": this node must be fenced before the service may start elsewhere" : ""));
            }

            _uncertain = false;
        }

        Ending = true;
        if (!await Process.EndAsync(cancellation).ConfigureAwait(false))
        {
            return Fail(InstanceStatus.Stuck, "its host did not end even when killed: this node must be fenced before the service may start elsewhere");
        }

        Resource = null;
        report.Set(facts => facts with { Status = InstanceStatus.Stopped, Health = Core.Model.Health.Unknown, ProcessId = null, Epoch = null, Detail = "" });
        return ActionResult.Success;
    }

    private LaunchRequest Request(ResourceContext resource) => setting.Request(resource.Service, Spec.Agent, Spec.Parameters, LeaseOf(Order!, resource));

    // A promotable resource starts without right and is promoted under it; an ordinary one starts under it.
    private static Epoch? LeaseOf(InstanceOrder order, ResourceContext resource) => resource.Promotable ? null : order.Epoch;

    private async Task<ActionResult> LaunchAsync(ResourceContext resource, CancellationToken cancellation)
    {
        Ending = false;
        var (host, reason) = await Process.LaunchAsync(Request(resource), cancellation).ConfigureAwait(false);
        if (host is null)
        {
            return Fail(reason);
        }

        var actions = Actions = new AgentActions(setting.Agents, setting.Environment, host);
        host.Remember(ResourceMemo.Write(resource));
        Resource = resource; // The tools that its start calls ask who is promoted.
        var (started, changed) = await steps.StartAsync(actions, resource, Order!, cancellation).ConfigureAwait(false);
        if (started.Succeeded)
        {
            _uncertain = false;
            await BecomeRunningAsync(changed, started.Reason ?? "", cancellation).ConfigureAwait(false);
            return ActionResult.Success;
        }

        var stopped = await StopAsync(cancellation).ConfigureAwait(false);
        return Fail(stopped.Succeeded ? InstanceStatus.Failed : report.Facts.Status, stopped.Succeeded ? started.Reason! : $"{started.Reason}; then {stopped.Reason}") with { Ban = started.Ban };
    }

    private async Task<bool> AdoptAsync(ResourceContext resource, CancellationToken cancellation)
    {
        if (Resource is not { } remembered)
        {
            return false;
        }

        var outcome = await Actions!.MonitorAsync(remembered, Spec.MonitorTimeout, TimeSpan.Zero, cancellation).ConfigureAwait(false);
        if (!OcfExit.Runs(outcome.Code) || OcfExit.Promoted(outcome.Code) != remembered.Promoted)
        {
            return false;
        }

        await BecomeRunningAsync(ResourceSteps.Renew(resource with { Promoted = remembered.Promoted, Epoch = remembered.Epoch }, Order!), "", cancellation).ConfigureAwait(false);
        return true;
    }

    private async Task BecomeRunningAsync(ResourceContext resource, string detail, CancellationToken cancellation)
    {
        Know(resource);
        var score = await steps.ScoreAsync(resource, cancellation).ConfigureAwait(false);
        report.Set(facts => facts with
        {
            Status = InstanceStatus.Running, Health = Core.Model.Health.Healthy, ProcessId = Process.ProcessId, Version = Order!.Version, Detail = detail,
            Epoch = resource.Epoch, PromotionScore = score,
        });
    }

    // Of what may run on several nodes at once, what is left does no harm elsewhere.
    private InstanceStatus Uncertain => Order is { Spec: { Activity: Activity.Spread, Requires: not Requirement.Fencing } } || (Order is null && Resource is { Epoch: null, Promotable: false })
        ? InstanceStatus.Failed : InstanceStatus.Stuck;

    // Its stop failed, and its processes were killed: where those are all that counts, its agent may say that nothing of it is left.
    private async Task<bool> IsOverAsync(ResourceContext resource, CancellationToken cancellation)
    {
        if (Order is not { Spec.Requires: Requirement.Quorum } order)
        {
            return false;
        }

        var (host, _) = await Process.LaunchAsync(setting.Request(resource.Service, resource.Agent.ToString(), resource.Parameters, null), cancellation).ConfigureAwait(false);
        ActionOutcome? seen = null;
        for (var look = 0; host is not null && look < Looks && seen is not { Code: OcfExit.NotRunning }; look++)
        {
            // What was killed may need a moment to be gone.
            await Task.Delay(look * BetweenLooks, cancellation).ConfigureAwait(false);
            seen = await new AgentActions(setting.Agents, setting.Environment, host)
                .MonitorAsync(resource with { Promoted = false }, ((OcfDriverSpec)order.Spec.Driver).MonitorTimeout, TimeSpan.Zero, cancellation).ConfigureAwait(false);
        }

        return await Process.EndAsync(cancellation).ConfigureAwait(false) && seen is { Code: OcfExit.NotRunning };
    }

    private ActionResult Fail(string reason) => Fail(InstanceStatus.Failed, reason);

    private ActionResult Fail(InstanceStatus status, string reason)
    {
        report.Set(facts => facts with { Status = status, Health = Core.Model.Health.Unhealthy, Detail = reason, ProcessId = Process.ProcessId, Epoch = null });
        return ActionResult.Failure(reason);
    }
}
