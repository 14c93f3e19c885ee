using System.Diagnostics;
using System.Globalization;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary>What became of a wish that a resource moves.</summary>
internal static class PlannedMove
{
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(200);

    /// <summary>Returns once <paramref name="resource"/> acts on <paramref name="to"/>.</summary>
    /// <param name="revision">Of the store, at which the wish was committed.</param>
    /// <exception cref="CommandFailedException">The wish was refused, or it took longer than <paramref name="patience"/>.</exception>
    public static async Task<Done> UntilDoneAsync(ControlClient client, ResourceId resource, NodeName to, long revision, TimeSpan patience, CancellationToken cancellation)
    {
        for (var waiting = Stopwatch.StartNew(); ; await Task.Delay(s_look, cancellation))
        {
            var status = await client.StatusAsync(cancellation);
            // An agent that has not seen the wish yet has nothing to say of it.
            if (status.Revision >= revision && Stand.In(status, resource) is { } stand && stand.MovesTo != to)
            {
                if (stand.Owner != to)
                    throw new CommandFailedException(ExitCode.Refused, $"{to} cannot have {resource} now{await WhyAsync(client, resource, to, cancellation)}",
                        resource.Kind == "service" ? $"evenkeel explain {resource.Name}; evenkeel status" : "evenkeel status");
                if (stand.Acts) return new Done(string.Create(CultureInfo.InvariantCulture, $"{resource} is on {to}, after {waiting.Elapsed.TotalSeconds:0.0} s"));
            }

            if (waiting.Elapsed >= patience)
                throw new CommandFailedException(ExitCode.Failed, $"{resource} does not act on {to} after {patience.TotalSeconds:0} s; it may yet come", "evenkeel status");
        }
    }

    private static async Task<string> WhyAsync(ControlClient client, ResourceId resource, NodeName to, CancellationToken cancellation)
    {
        if (resource.Kind != "service") return "";
        var verdict = (await client.ExplainAsync(resource.Name, cancellation)).Nodes.FirstOrDefault(verdict => verdict.Node == to);
        return verdict is { Verdict: Verdict.Excluded, Reasons.Count: > 0 } ? $": {string.Join("; ", verdict.Reasons)}" : "";
    }

    /// <summary>How a resource stands.</summary>
    /// <param name="Acts">The owner does what it is there for.</param>
    private sealed record Stand(NodeName? Owner, NodeName? MovesTo, bool Acts)
    {
        public static Stand? In(StatusReport status, ResourceId resource) => resource.Kind == "vip"
            ? status.Vips.Where(vip => vip.Name == resource.Name).Select(vip => new Stand(vip.Owner?.Node, vip.MovesTo, vip.Held)).FirstOrDefault()
            : status.Services.Where(service => service.Name == resource.Name).Select(service => new Stand(service.Owner?.Node, service.MovesTo,
                service.Instances.Any(instance => instance.Node == service.Owner?.Node && instance is { Active: true, Status: InstanceStatus.Running, Health: not Health.Unhealthy }))).FirstOrDefault();
    }
}
