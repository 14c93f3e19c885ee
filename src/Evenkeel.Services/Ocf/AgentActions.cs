using Evenkeel.Services.Ocf.Agents;
using Evenkeel.Services.Ocf.Hosting;

namespace Evenkeel.Services.Ocf;

/// <summary>An agent's actions on one resource, run by its host inside the instance's tree.</summary>
internal sealed class AgentActions(AgentDirectory agents, ActionEnvironment environment, HostConnection host)
{
    public HostConnection Host => host;

    public Task<ActionOutcome> RunAsync(ResourceContext resource, string action, TimeSpan timeout, CancellationToken cancellation) =>
        RunAsync(resource, action, timeout, TimeSpan.Zero, [], cancellation);

    /// <param name="interval">Zero for a probe.</param>
    public Task<ActionOutcome> MonitorAsync(ResourceContext resource, TimeSpan timeout, TimeSpan interval, CancellationToken cancellation) =>
        // Monitors of the two roles differ in their interval, as agents may expect.
        RunAsync(resource, "monitor", timeout, resource.Promoted && interval > TimeSpan.Zero ? interval + TimeSpan.FromMilliseconds(1) : interval, [], cancellation);

    /// <summary>Tells the agent of a change; its answer changes nothing.</summary>
    public async Task NotifyAsync(ResourceContext resource, string when, string operation, string changing, CancellationToken cancellation)
    {
        if (resource.Notify && resource.Copies > 0)
        {
            await RunAsync(resource, "notify", resource.StopTimeout, TimeSpan.Zero, NotifyVariables.For(resource, when, operation, changing), cancellation).ConfigureAwait(false);
        }
    }

    private async Task<ActionOutcome> RunAsync(ResourceContext resource, string action, TimeSpan timeout, TimeSpan interval,
        IEnumerable<KeyValuePair<string, string>> more, CancellationToken cancellation)
    {
        var variables = environment.For(resource, action, timeout, interval);
        foreach (var (name, value) in more)
        {
            variables[name] = value;
        }

        var ended = await host.RunAsync([resource.Agent.PathUnder(agents.Root), action], variables, timeout, cancellation).ConfigureAwait(false);
        return ActionOutcome.Of(action, ended, timeout);
    }
}
