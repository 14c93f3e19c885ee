using System.Globalization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Services.Ocf.Agents;
using Evenkeel.Services.Ocf.Attributes;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Ocf;

/// <summary>What start, stop, promote and demote of a resource consist of. Stateless: context in, outcome and new context out.</summary>
internal sealed class ResourceSteps(OcfSetting setting)
{
    /// <summary>The context of an order; null with what is wrong with it on this node.</summary>
    public async Task<(ResourceContext? Resource, string Problem)> ResolveAsync(InstanceOrder order, CancellationToken cancellation)
    {
        var spec = (OcfDriverSpec)order.Spec.Driver;
        if (AgentName.Parse(spec.Agent) is not { } name)
        {
            return (null, $"'{spec.Agent}' names no resource agent: write PROVIDER:TYPE, such as heartbeat:redis");
        }

        try
        {
            var metadata = await setting.Agents.DescribeAsync(name, cancellation).ConfigureAwait(false);
            var objections = metadata.Objections(spec.Parameters);
            if (objections.Count > 0)
            {
                return (null, $"{name}: {string.Join("; ", objections)}");
            }

            var promotable = order.Spec.Redundancy == Redundancy.Warm || (order.Spec is { Redundancy: Redundancy.Hot, Activity: Activity.SingleActive });
            if (promotable && !metadata.IsPromotable)
            {
                return (null, $"{name} cannot be promoted, so no standby of it can run: write 'redundancy: cold', or use another agent");
            }

            return (Renew(new ResourceContext
            {
                Service = order.Spec.Name,
                Agent = name,
                Parameters = spec.Parameters.ToDictionary(pair => pair.Key, pair => Placeholders.Fill(pair.Value, order), StringComparer.Ordinal),
                Node = NodeNames.Of(order),
                Promotable = promotable,
                Notify = metadata.Has("notify"),
                StopTimeout = spec.StopTimeout,
            }, order), "");
        }
        catch (InvalidDataException exception)
        {
            return (null, exception.Message);
        }
    }

    /// <summary>What an order may change without a restart.</summary>
    public static ResourceContext Renew(ResourceContext resource, InstanceOrder order)
    {
        var others = order.Replication is { } replication ? [.. replication.Others.Select(node => node.Value)] : resource.OtherNodes;
        return resource with
        {
            Version = order.Version,
            Copies = resource.Promotable || order.Spec.Activity == Activity.Spread ? Math.Max(Math.Max(order.Spec.Instances, others.Count + 1), resource.Promotable ? 2 : 1) : 0,
            PromotedNode = order.Replication?.Upstream is { } upstream ? NodeNames.Of(order, upstream) : null,
            OtherNodes = others,
            Epoch = resource.Promotable ? resource.Epoch : order.Epoch,
            StopTimeout = order.Spec.Driver.StopTimeout,
        };
    }

    public async Task<(ActionResult, ResourceContext)> StartAsync(AgentActions actions, ResourceContext resource, InstanceOrder order, CancellationToken cancellation)
    {
        var spec = (OcfDriverSpec)order.Spec.Driver;
        var metadata = await setting.Agents.DescribeAsync(resource.Agent, cancellation).ConfigureAwait(false);
        if (metadata.Has("validate-all"))
        {
            var valid = await actions.RunAsync(resource, "validate-all", spec.MonitorTimeout, cancellation).ConfigureAwait(false);
            if (!valid.Succeeded && valid.Code != OcfExit.Unimplemented)
            {
                return (valid.Failure, resource);
            }
        }

        // Nothing of it can run in a tree that was just made: what the agent finds was started by somebody else, or is left in
        // the kernel. In our tree it dies with the lease, so it is stopped and started anew.
        var probe = await actions.MonitorAsync(resource, spec.MonitorTimeout, TimeSpan.Zero, cancellation).ConfigureAwait(false);
        if (probe.Code != OcfExit.NotRunning)
        {
            if (probe.IsPermanent)
            {
                return (probe.Failure, resource);
            }

            var swept = await actions.RunAsync(resource, "stop", resource.StopTimeout, cancellation).ConfigureAwait(false);
            if (!swept.Succeeded)
            {
                return (ActionResult.Failure($"it was not stopped before ({probe.Text}), and its {swept.Text}"), resource);
            }
        }

        await actions.NotifyAsync(resource, "pre", "start", resource.Node, cancellation).ConfigureAwait(false);
        var started = await actions.RunAsync(resource, "start", spec.StartTimeout, cancellation).ConfigureAwait(false);
        if (!started.Succeeded)
        {
            return (started.Failure, resource);
        }

        var seen = await actions.MonitorAsync(resource, spec.MonitorTimeout, TimeSpan.Zero, cancellation).ConfigureAwait(false);
        if (!OcfExit.Runs(seen.Code))
        {
            return (ActionResult.Failure($"after its start, {seen.Text}"), resource);
        }

        await actions.NotifyAsync(resource, "post", "start", resource.Node, cancellation).ConfigureAwait(false);
        if (!resource.Promotable || order.Epoch is not { } epoch)
        {
            return (ActionResult.Success, resource);
        }

        return await PromoteAsync(actions, resource, epoch, spec, cancellation).ConfigureAwait(false);
    }

    public static async Task<(ActionResult, ResourceContext)> PromoteAsync(AgentActions actions, ResourceContext resource, Epoch epoch, OcfDriverSpec spec, CancellationToken cancellation)
    {
        if (!resource.Promotable)
        {
            return (ActionResult.Failure($"{resource.Agent} is not used as a promotable resource here"), resource);
        }

        if (resource.Promoted)
        {
            return (ActionResult.Success, resource with { Epoch = epoch });
        }

        await actions.NotifyAsync(resource, "pre", "promote", resource.Node, cancellation).ConfigureAwait(false);
        var outcome = await actions.RunAsync(resource, "promote", spec.PromoteTimeout, cancellation).ConfigureAwait(false);
        if (!outcome.Succeeded)
        {
            return (outcome.Failure, resource);
        }

        var promoted = resource with { Promoted = true, Epoch = epoch, PromotedNode = resource.Node };
        var seen = await actions.MonitorAsync(promoted, spec.MonitorTimeout, spec.MonitorEvery, cancellation).ConfigureAwait(false);
        if (!OcfExit.Promoted(seen.Code))
        {
            return (ActionResult.Failure($"after its promotion, {seen.Text}"), resource);
        }

        await actions.NotifyAsync(promoted, "post", "promote", promoted.Node, cancellation).ConfigureAwait(false);
        return (ActionResult.Success, promoted);
    }

    public static async Task<(ActionResult, ResourceContext)> DemoteAsync(AgentActions actions, ResourceContext resource, CancellationToken cancellation)
    {
        if (!resource.Promoted)
        {
            return (ActionResult.Success, resource with { Epoch = null });
        }

        await actions.NotifyAsync(resource, "pre", "demote", resource.Node, cancellation).ConfigureAwait(false);
        var outcome = await actions.RunAsync(resource, "demote", resource.StopTimeout, cancellation).ConfigureAwait(false);
        if (!outcome.Succeeded)
        {
            return (ActionResult.Failure(outcome.Text), resource);
        }

        var demoted = resource with { Promoted = false, Epoch = null, PromotedNode = resource.PromotedNode == resource.Node ? null : resource.PromotedNode };
        await actions.NotifyAsync(demoted, "post", "demote", demoted.Node, cancellation).ConfigureAwait(false);
        return (ActionResult.Success, demoted);
    }

    public static async Task<ActionOutcome> StopAsync(AgentActions actions, ResourceContext resource, CancellationToken cancellation)
    {
        if (resource.Promoted)
        {
            // Agents may refuse to stop what is promoted; where the demotion fails, the stop decides.
            await DemoteAsync(actions, resource, cancellation).ConfigureAwait(false);
        }

        await actions.NotifyAsync(resource, "pre", "stop", resource.Node, cancellation).ConfigureAwait(false);
        return await actions.RunAsync(resource, "stop", resource.StopTimeout, cancellation).ConfigureAwait(false);
    }

    /// <summary>The agent's own opinion of how well this node could be promoted (<c>crm_master</c>); null for what has no roles.</summary>
    public async Task<int?> ScoreAsync(ResourceContext resource, CancellationToken cancellation) =>
        resource.Promotable ? Score(await setting.Attributes.GetAsync(AttributeKey.Score(resource.Node, resource.Service), cancellation).ConfigureAwait(false)) : null;

    /// <summary>As Pacemaker reads it; what is no number counts as none.</summary>
    internal static int Score(string? text) => text switch
    {
        "INFINITY" or "+INFINITY" => InstanceFacts.InfiniteScore,
        "-INFINITY" => -InstanceFacts.InfiniteScore,
        _ => long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var score)
            ? (int)Math.Clamp(score, -InstanceFacts.InfiniteScore, InstanceFacts.InfiniteScore) : InstanceFacts.NoPromotionScore,
    };

    /// <summary>Empty where there is none.</summary>
    internal static string Words(int? score) => score switch
    {
        null or InstanceFacts.NoPromotionScore => "",
        InstanceFacts.InfiniteScore => "promotion score INFINITY",
        -InstanceFacts.InfiniteScore => "promotion score -INFINITY",
        { } number => string.Create(CultureInfo.InvariantCulture, $"promotion score {number}"),
    };
}
