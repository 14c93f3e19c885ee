using System.Diagnostics;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Agent.Host.Logging;

/// <summary>Where <c>evenkeel log-level</c> asks; and tells of each request, where that is wanted.</summary>
internal sealed class LogEndpoint(AgentLog journal, NodeName node)
{
    public void Map(WebApplication application)
    {
        application.Use(next => http => journal.Control.IsOn(LogLevel.Debug) ? TellAsync(http, next) : next(http));
        application.MapGet(ControlRoutes.LogLevels, (RequestDelegate)(http => ControlEndpoints.Send<LogLevelsReport>(http, journal.Report(node), ControlJson.Default.LogLevelsReport)));
        application.MapPost(ControlRoutes.LogLevels, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.LogLevelOrder,
            order => ControlEndpoints.Send(http, journal.Change(order), ControlJson.Default.Done))));
    }

    private async Task TellAsync(HttpContext http, RequestDelegate next)
    {
        var began = Stopwatch.GetTimestamp();
        try
        {
            await next(http).ConfigureAwait(false);
        }
        finally
        {
            journal.Control.Tell(LogLevel.Debug, $"{http.Request.Method} {http.Request.Path} {http.Response.StatusCode}, {Stopwatch.GetElapsedTime(began).TotalMilliseconds:0.0} ms");
        }
    }
}
