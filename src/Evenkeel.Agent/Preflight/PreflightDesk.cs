using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Preflight;

/// <summary>This node's part of a running cluster's preflight: looked at when another node or the control socket asks; one at a time.</summary>
/// <param name="loop">Whose knowledge the checks begin with.</param>
internal sealed class PreflightDesk(AgentConfiguration configuration, LoopThread loop) : IDisposable
{
    /// <summary>On the private connection: this node's own report, and its clocks.</summary>
    public const string Own = "/v1/own/preflight", Clocks = "/v1/own/clocks";

    private readonly SemaphoreSlim _one = new(1);

    public void MapOwn(WebApplication application)
    {
        application.MapGet(Own, (RequestDelegate)(async http =>
        {
            if (await LookAsync(http.RequestAborted).ConfigureAwait(false) is { } report)
            {
                http.Response.ContentType = "application/json";
                await JsonSerializer.SerializeAsync(http.Response.Body, report, PreflightJson.Default.PreflightReport, http.RequestAborted).ConfigureAwait(false);
                return;
            }

            http.Response.StatusCode = StatusCodes.Status503ServiceUnavailable;
        }));
        application.MapGet(Clocks, (RequestDelegate)(http =>
        {
            http.Response.ContentType = "application/json";
            return JsonSerializer.SerializeAsync(http.Response.Body, ClockComparison.ReadOwn(), PreflightJson.Default.ClockReading, http.RequestAborted);
        }));
    }

    /// <returns>Null while this node does not know the cluster's file yet.</returns>
    public async Task<PreflightReport?> LookAsync(CancellationToken cancellation)
    {
        if (Subject() is not { } subject)
        {
            return null;
        }

        await _one.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            return await NodePreflight.RunAsync(subject, _ => { }, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _one.Release();
        }
    }

    public PreflightSubject? Subject() => loop.Read(agent => agent.Known.Spec is not { } spec || !spec.Nodes.ContainsKey(configuration.Node) ? null : new PreflightSubject
    {
        Spec = spec,
        Node = configuration.Node,
        StateDirectory = configuration.StateDirectory,
        Runs = true,
        Owners = spec.Vips.Keys.Select(vip => (Vip: vip, Owner: agent.Known.State.Ownerships.GetValueOrDefault(ResourceId.Vip(vip)).Value?.Current))
            .Where(one => one.Owner is not null).ToDictionary(one => one.Vip, one => one.Owner!.Node),
        GuardMisses = [.. agent.Guard.Missing],
    });

    public void Dispose() => _one.Dispose();
}
