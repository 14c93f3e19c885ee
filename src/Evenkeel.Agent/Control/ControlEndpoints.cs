using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;

namespace Evenkeel.Agent.Control;

/// <summary>
/// The control API's server side. Plain request delegates with source-generated JSON: nothing is bound by reflection, which
/// keeps an agent's start short and lets it be compiled ahead of time.
/// </summary>
public static class ControlEndpoints
{
    private const long GreatestBody = 4 << 20;
    private const int GreatestLimit = 100_000;
    /// <summary>Key of <see cref="HttpContext.Items"/> under which a request's body is, once it has been read.</summary>
    internal const string RequestItem = "evenkeel.request";

    public static void MapControl(this IEndpointRouteBuilder routes, IControlPlane plane)
    {
        routes.MapGet(ControlRoutes.Hello, (RequestDelegate)(http => Send(http, plane.Hello, ControlJson.Default.Hello)));
        routes.MapGet(ControlRoutes.Status, (RequestDelegate)(async http =>
            await Send(http, await plane.GetStatusAsync(http.RequestAborted), ControlJson.Default.StatusReport)));
        routes.MapPost(ControlRoutes.Plan, (RequestDelegate)(http => Receive(http, ControlJson.Default.FileRequest, async request =>
            await Send(http, await FilePlans.PlanAsync(plane, request, http.RequestAborted), ControlJson.Default.PlanReport))));
        routes.MapPost(ControlRoutes.Apply, (RequestDelegate)(http => Receive(http, ControlJson.Default.FileRequest, async request =>
            await Send(http, await FilePlans.ApplyAsync(plane, request, http.RequestAborted), ControlJson.Default.ApplyReport))));
        routes.MapGet(ControlRoutes.Events, (RequestDelegate)(http => Stream(http,
            plane.EventsAsync(Number(http, "after", 0, long.MaxValue), (int)Number(http, "limit", 1000, GreatestLimit), Flag(http, "follow"), http.RequestAborted),
            ControlJson.Default.ClusterEvent)));
        routes.MapGet(ControlRoutes.Explain, (RequestDelegate)(async http =>
            await Send(http, await plane.ExplainAsync(Route(http, "service"), http.RequestAborted), ControlJson.Default.Explanation)));
        routes.MapPost(ControlRoutes.NodeMode, (RequestDelegate)(http => Receive(http, ControlJson.Default.NodeModeRequest, async request =>
            await Send(http, await plane.SetNodeModeAsync(new NodeName(Route(http, "node")), request.Mode, request.Reason, http.RequestAborted), ControlJson.Default.Done))));
        routes.MapPost(ControlRoutes.Fence, (RequestDelegate)(http => Receive(http, ControlJson.Default.FenceOrder, async request =>
            await Send(http, await plane.FenceAsync(new NodeName(Route(http, "node")), request.Wish, request.By, http.RequestAborted), ControlJson.Default.Done))));
        routes.MapPost(ControlRoutes.Moves, (RequestDelegate)(http => Receive(http, ControlJson.Default.MoveOrder, async request =>
            await Send(http, await plane.MoveAsync(request.Resource, request.To, http.RequestAborted), ControlJson.Default.Done))));
        routes.MapPost(ControlRoutes.Restart, (RequestDelegate)(http => Receive(http, ControlJson.Default.RestartOrder, async request =>
            await Send(http, await plane.RestartAsync(Route(http, "service"), request.Node, http.RequestAborted), ControlJson.Default.Done))));
        routes.MapGet(ControlRoutes.Logs, (RequestDelegate)(async http =>
        {
            var node = http.Request.Query["node"].ToString() is { Length: > 0 } name ? new NodeName(name) : (NodeName?)null;
            var answer = await plane.LogsAsync(Route(http, "service"), node, (int)Number(http, "lines", 100, GreatestLimit), Flag(http, "follow"), http.RequestAborted);
            await (answer.Value is { } lines ? Stream(http, lines, ControlJson.Default.LogLine) : Refuse(http, answer.Problem!));
        }));
    }

    private static string Route(HttpContext http, string name) => (string)http.Request.RouteValues[name]!;
    private static bool Flag(HttpContext http, string name) => http.Request.Query[name] == "true";
    private static long Number(HttpContext http, string name, long standard, long greatest) =>
        long.TryParse(http.Request.Query[name], NumberStyles.None, CultureInfo.InvariantCulture, out var value) ? Math.Min(value, greatest) : standard;

    internal static async Task Receive<T>(HttpContext http, JsonTypeInfo<T> type, Func<T, Task> act) where T : class
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
            limit.MaxRequestBodySize = GreatestBody;
        T? request;
        try
        {
            request = await JsonSerializer.DeserializeAsync(http.Request.Body, type, http.RequestAborted);
        }
        catch (JsonException exception)
        {
            await Refuse(http, new Problem(ProblemKind.Malformed, $"the request's body is not the JSON expected: {exception.Message}"));
            return;
        }
        http.Items[RequestItem] = request;
        await (request is null ? Refuse(http, new Problem(ProblemKind.Malformed, "the request has no body")) : act(request));
    }

    internal static Task Send<T>(HttpContext http, Answer<T> answer, JsonTypeInfo<T> type) where T : class =>
        answer.Value is { } value ? Send(http, value, type) : Refuse(http, answer.Problem!);

    private static async Task Send<T>(HttpContext http, T value, JsonTypeInfo<T> type) where T : class
    {
        http.Response.ContentType = "application/json";
        await JsonSerializer.SerializeAsync(http.Response.Body, value, type, http.RequestAborted);
    }

    internal static Task Refuse(HttpContext http, Problem problem, int? status = null)
    {
        http.Response.StatusCode = status ?? problem.Kind switch
        {
            ProblemKind.Forbidden => StatusCodes.Status403Forbidden,
            ProblemKind.Refused => StatusCodes.Status409Conflict,
            ProblemKind.Unknown => StatusCodes.Status404NotFound,
            ProblemKind.Configuration => StatusCodes.Status422UnprocessableEntity,
            ProblemKind.Unavailable => StatusCodes.Status503ServiceUnavailable,
            _ => StatusCodes.Status400BadRequest,
        };
        return Send(http, problem, ControlJson.Default.Problem);
    }

    private static async Task Stream<T>(HttpContext http, IAsyncEnumerable<T> items, JsonTypeInfo<T> type)
    {
        http.Response.ContentType = ControlRoutes.StreamType;
        // The first byte tells the client that its question was understood, long before the first item.
        await http.Response.StartAsync(http.RequestAborted);
        try
        {
            await foreach (var item in items.WithCancellation(http.RequestAborted))
            {
                await http.Response.Body.WriteAsync(JsonSerializer.SerializeToUtf8Bytes(item, type), http.RequestAborted);
                await http.Response.Body.WriteAsync("\n"u8.ToArray(), http.RequestAborted);
                await http.Response.Body.FlushAsync(http.RequestAborted);
            }
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            // The client has seen enough.
        }
    }
}
