using System.Diagnostics;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Host;

/// <summary>Where <c>evenkeel guard restart</c> asks for this node's guard to be replaced by a new one, once it has nothing left to hold.</summary>
internal sealed class GuardEndpoint(ReconnectingGuard guard, LoopThread loop, NodeName node)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20), Look = TimeSpan.FromMilliseconds(20);

    public void Map(WebApplication application) => application.MapPost(ControlRoutes.GuardRestart,
        (RequestDelegate)(async http => await ControlEndpoints.Send(http, await RestartAsync(http.RequestAborted).ConfigureAwait(false), ControlJson.Default.Done).ConfigureAwait(false)));

    private async Task<Answer<Done>> RestartAsync(CancellationToken cancellation)
    {
        var (connected, before, held) = loop.Read(agent => (agent.Guard.Connected, agent.Guard.Session, Held(agent)));
        if (!connected)
        {
            return new Problem(ProblemKind.Unavailable, $"{node} has no guard; its agent is starting one", "See evenkeel status, and guard.log in the state directory");
        }

        if (held.Count > 0)
        {
            return new Problem(ProblemKind.Refused, $"{node} still has {string.Join(", ", held)}", $"evenkeel drain {node} moves it elsewhere first; 'evenkeel guard restart' does all of it");
        }

        guard.Renew();
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < Patience; await Task.Delay(Look, cancellation).ConfigureAwait(false))
        {
            if (loop.Read(agent => agent.Guard.Connected && agent.Guard.Session != before))
            {
                return new Done($"{node} has a new guard");
            }
        }

        return new Problem(ProblemKind.Unavailable, $"no new guard has come on {node} within {Patience.TotalSeconds:0} s", "See guard.log in the state directory; the agent goes on trying");
    }

    /// <summary>What would end with the guard: leases, and whatever it runs as its children.</summary>
    private static IReadOnlyList<string> Held(Core.Loop.AgentLoop agent) =>
        [.. agent.Guard.Leases.Keys.Select(resource => resource.Value).Concat(agent.Known.Own.Instances.Where(one => one.Status is not InstanceStatus.Stopped).Select(one => "service/" + one.Service)).Distinct().Order(StringComparer.Ordinal)];
}
