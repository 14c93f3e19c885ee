using Evenkeel.Agent.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Host.Alerts;

/// <summary>Where <c>evenkeel alerts</c> asks.</summary>
internal sealed class AlertEndpoint(AlertDesk desk)
{
    public void Map(WebApplication application)
    {
        application.MapGet(ControlRoutes.Alerts, (RequestDelegate)(http => ControlEndpoints.Send<AlertsReport>(http, desk.Report, ControlJson.Default.AlertsReport)));
        application.MapPost(ControlRoutes.AlertTest, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.AlertTest, async test =>
            await ControlEndpoints.Send(http, await desk.TestAsync(test.Receiver, http.RequestAborted), ControlJson.Default.Done))));
    }
}
