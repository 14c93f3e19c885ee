using System.Net;
using System.Text.Json;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evenkeel.Agent.Host.Roles;

/// <summary>
/// Answers others' load balancers and scripts whether this node's instance of a service has a role: 200 or 503. On the control socket,
/// and over plain HTTP where an address is configured; it says nothing but roles, so that address may be a public one.
/// </summary>
/// <param name="read">Null for an unknown service.</param>
internal sealed class RoleEndpoint(NodeName self, Func<string, RoleReading?> read)
{
    private const int MostConnections = 256;
    private static readonly string[] s_methods = [HttpMethods.Get, HttpMethods.Head, HttpMethods.Options];

    public void Map(IEndpointRouteBuilder routes) => routes.MapMethods(ControlRoutes.Role, s_methods, (RequestDelegate)AnswerAsync);

    /// <param name="address"><c>ADDRESS:PORT</c>.</param>
    /// <exception cref="InvalidDataException">It is no address and port.</exception>
    /// <exception cref="IOException">The port is taken, or the address is not this machine's.</exception>
    public async Task<IAsyncDisposable> ListenAsync(string address)
    {
        if (!IPEndPoint.TryParse(address, out var endpoint) || endpoint.Port == 0)
        {
            throw new InvalidDataException($"agent.json: roles: '{address}' is not ADDRESS:PORT, such as 10.10.0.11:8008");
        }

        var builder = BareHost.CreateBuilder();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Limits.MaxConcurrentConnections = MostConnections;
            kestrel.Limits.MaxRequestBodySize = 0;
            kestrel.Listen(endpoint);
        });
        var application = builder.Build();
        Map(application);
        await application.StartAsync().ConfigureAwait(false);
        return application;
    }

    private async Task AnswerAsync(HttpContext http)
    {
        var (service, role) = ((string)http.Request.RouteValues["service"]!, (string)http.Request.RouteValues["role"]!);
        long? mostLag = null;
        if (!RoleNames.All.Contains(role))
        {
            await SendAsync(http, StatusCodes.Status404NotFound, new RoleReport(service, self, role, false, $"no such role; there are {string.Join(", ", RoleNames.All)}")).ConfigureAwait(false);
            return;
        }

        if (http.Request.Query["lag"].ToString() is { Length: > 0 } lag)
        {
            if (!ByteSize.TryParse(lag, out var bytes))
            {
                await SendAsync(http, StatusCodes.Status400BadRequest, new RoleReport(service, self, role, false, $"lag: '{lag}' is no size, such as 16MiB")).ConfigureAwait(false);
                return;
            }

            mostLag = bytes;
        }

        if (read(service) is not { } found)
        {
            await SendAsync(http, StatusCodes.Status404NotFound, new RoleReport(service, self, role, false, "there is no such service")).ConfigureAwait(false);
            return;
        }

        var has = found.Has(role, mostLag);
        await SendAsync(http, has ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable, new RoleReport(service, self, role, has, found.State)).ConfigureAwait(false);
    }

    private static async Task SendAsync(HttpContext http, int status, RoleReport report)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(report, ControlJson.Default.RoleReport);
        (http.Response.StatusCode, http.Response.ContentType, http.Response.ContentLength) = (status, "application/json", body.Length);
        if (!HttpMethods.IsHead(http.Request.Method))
        {
            await http.Response.Body.WriteAsync(body, http.RequestAborted).ConfigureAwait(false);
        }
    }
}
