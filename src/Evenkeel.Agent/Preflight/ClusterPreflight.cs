using System.Net.Http.Json;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Preflight;

/// <summary>A running cluster's preflight: every node looks at itself when asked, one after the other, and clocks are compared.</summary>
internal sealed class ClusterPreflight(PreflightDesk own, DeskClient desk)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(90);

    public void Map(WebApplication application) => application.MapGet(ControlRoutes.Preflight, (RequestDelegate)(async http =>
    {
        if (own.Subject() is not { } subject)
        {
            await ControlEndpoints.Send(http, (Answer<PreflightReport>)new Problem(ProblemKind.Unavailable, "this node does not know the cluster's file yet", "See evenkeel status"), PreflightJson.Default.PreflightReport).ConfigureAwait(false);
            return;
        }

        http.Response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(http.Response.Body, await RunAsync(subject, http.RequestAborted).ConfigureAwait(false), PreflightJson.Default.PreflightReport, http.RequestAborted).ConfigureAwait(false);
    }));

    private async Task<PreflightReport> RunAsync(PreflightSubject subject, CancellationToken cancellation)
    {
        var findings = new List<PreflightFinding>();
        var nodes = new List<string>();
        // One node after the other: their probes for an address would answer each other's, their disks may be one.
        if (await own.LookAsync(cancellation).ConfigureAwait(false) is { } mine)
        {
            findings.AddRange(mine.Findings);
            nodes.AddRange(mine.Nodes);
        }

        foreach (var other in subject.Others)
        {
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                limit.CancelAfter(Patience);
                findings.AddRange(await OfAsync(subject, other, limit.Token).ConfigureAwait(false));
                nodes.Add(other.Name.Value);
            }
            catch (Exception exception) when (exception is HttpRequestException or JsonException or IOException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
            {
                findings.Add(new(PreflightVerdict.Failed, "asked", other.Name.Value, $"{other.Name} was not looked at: {Words(exception)}", $"Is its agent running, and of this version? evenkeel status; evenkeel preflight on {other.Name} itself"));
            }
        }

        return new PreflightReport(subject.Spec.Cluster, nodes, DateTimeOffset.UtcNow, findings);
    }

    private async Task<IReadOnlyList<PreflightFinding>> OfAsync(PreflightSubject subject, NodeSpec other, CancellationToken cancellation)
    {
        using var http = desk.Open(other.Name, other.Private);
        var report = await http.GetFromJsonAsync(PreflightDesk.Own, PreflightJson.Default.PreflightReport, cancellation).ConfigureAwait(false) ?? throw new JsonException("an empty answer");
        return [.. report.Findings, .. await ClockComparison.CompareAsync(subject.Node, other.Name, http, subject.Spec.Timings.DriftBound, cancellation).ConfigureAwait(false)];
    }

    private static string Words(Exception exception) => exception is OperationCanceledException ? $"no answer within {Patience.TotalSeconds:0} s"
        : exception is HttpRequestException { StatusCode: System.Net.HttpStatusCode.NotFound } ? "its agent is older and knows no preflight" : exception.Message;
}
