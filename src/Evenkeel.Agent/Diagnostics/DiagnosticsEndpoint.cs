using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>Where <c>evenkeel bundle</c> asks for another node's diagnostics: they are fetched from that node's desk and passed through.</summary>
/// <param name="spec">The cluster's file in force; null before there is one.</param>
internal sealed class DiagnosticsEndpoint(DeskClient desk, Func<ClusterSpec?> spec)
{
    public void Map(WebApplication application) => application.MapGet(ControlRoutes.Diagnostics, (RequestDelegate)PassAsync);

    private async Task PassAsync(HttpContext http)
    {
        var name = new NodeName((string)http.Request.RouteValues["node"]!);
        if (spec()?.Nodes.GetValueOrDefault(name) is not { } node)
        {
            await ControlEndpoints.Send(http, (Answer<Done>)new Problem(ProblemKind.Unknown, $"there is no node '{name}'"), ControlJson.Default.Done).ConfigureAwait(false);
            return;
        }

        try
        {
            await desk.DiagnosticsAsync(name, node.Private, archive =>
            {
                http.Response.ContentType = ControlRoutes.ArchiveType;
                return archive.CopyToAsync(http.Response.Body, http.RequestAborted);
            }, http.RequestAborted).ConfigureAwait(false);
        }
        catch (HttpRequestException exception)
        {
            await ControlEndpoints.Send(http, (Answer<Done>)new Problem(ProblemKind.Unavailable, exception.Message,
                $"Run 'evenkeel bundle --local' on {name}"), ControlJson.Default.Done).ConfigureAwait(false);
        }
    }
}
