using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Services.Volume;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evenkeel.Agent.Control;

/// <summary>What only the node that writes a volume can tell and do: its progress, and verifications.</summary>
internal sealed class VolumeEndpoint(VolumeDriver driver, Func<ClusterState> state, NodeName self)
{
    public void Map(IEndpointRouteBuilder routes)
    {
        routes.MapGet(ControlRoutes.Volume, (RequestDelegate)(http =>
            ControlEndpoints.Send(http, Report(Name(http)), ControlJson.Default.WriterReport)));
        routes.MapPost(ControlRoutes.VolumeVerify, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.VerifyOrder, async order =>
            await ControlEndpoints.Send(http, await VerifyAsync(Name(http), order).ConfigureAwait(false), ControlJson.Default.VerifyBegun).ConfigureAwait(false))));
    }

    private static string Name(HttpContext http) => (string)http.Request.RouteValues["volume"]!;

    private Answer<WriterReport> Report(string volume) => driver.WriterOf(volume) is { } report ? report : NotHere(volume);

    private async Task<Answer<VerifyBegun>> VerifyAsync(string volume, VerifyOrder order) =>
        await driver.VerifyAsync(volume, order.Repair).ConfigureAwait(false) is { } number ? new VerifyBegun(number) : NotHere(volume);

    private Problem NotHere(string volume)
    {
        var now = state();
        if (now.Spec?.Value.Volumes.ContainsKey(volume) != true)
        {
            return new Problem(ProblemKind.Unknown, $"there is no volume '{volume}'", $"There are: {string.Join(", ", now.Spec?.Value.Volumes.Keys.Order(StringComparer.Ordinal) ?? (IEnumerable<string>)[])}");
        }

        return now.Ownerships.GetValueOrDefault(ResourceId.Volume(volume)).Value?.Current is { } owner && owner.Node != self
            ? new Problem(ProblemKind.Refused, $"{volume} is written on {owner.Node}", $"Run the command there")
            : new Problem(ProblemKind.Unavailable, $"nobody has mounted {volume} at the moment", "See evenkeel volume status");
    }
}
