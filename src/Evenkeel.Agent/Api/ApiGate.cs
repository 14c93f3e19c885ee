using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Core.Loop.Ports;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Evenkeel.Agent.Api;

/// <summary>
/// Who may pass: the bearer of a token (RFC 6750) whose role is enough for the route. A route that <see cref="ApiRoutes"/> does not
/// name is an admin's. Everybody else is told no more than that, and is on the audit trail.
/// </summary>
internal sealed class ApiGate(ApiTokens tokens, RefusalTrail refusals)
{
    private const string Door = "the control API";
    private const string Scheme = "Bearer ";

    public async Task PassAsync(HttpContext http, RequestDelegate next)
    {
        var from = http.Connection.RemoteIpAddress?.ToString();
        var header = http.Request.Headers.Authorization.ToString();
        if (!header.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            await RefuseAsync(http, from, "it brought no token", StatusCodes.Status401Unauthorized, "a token is needed: 'Authorization: Bearer …' (evenkeel api token create)").ConfigureAwait(false);
            return;
        }

        ApiToken? token;
        string? why;
        try
        {
            var secret = header[Scheme.Length..].Trim();
            (token, why) = HttpMethods.IsGet(http.Request.Method) ? tokens.Find(secret) : await tokens.FindNowAsync(secret, http.RequestAborted).ConfigureAwait(false);
        }
        catch (StoreUnavailableException exception)
        {
            await ControlEndpoints.Send(http, (Answer<Done>)new Problem(ProblemKind.Unavailable, $"the token cannot be checked: {exception.Message}", "Nothing was changed; see the status"), ControlJson.Default.Done).ConfigureAwait(false);
            return;
        }

        if (token is null)
        {
            await RefuseAsync(http, from, why!, StatusCodes.Status401Unauthorized, "the token is not (or no longer) good").ConfigureAwait(false);
            return;
        }

        http.Items[AuditEndpoint.CallerItem] = $"token {token.Name} ({token.Role.ToString().ToLowerInvariant()}) from {from}";
        var needed = ApiRoutes.RoleOf(http.Request.Method, (http.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText);
        if (token.Role < needed)
        {
            var words = needed.ToString().ToLowerInvariant();
            await RefuseAsync(http, from, $"the token '{token.Name}' is of a {token.Role.ToString().ToLowerInvariant()}, {http.Request.Method} {http.Request.Path} takes the role {words}", StatusCodes.Status403Forbidden,
                $"this takes a token with the role {words}; '{token.Name}' is of a {token.Role.ToString().ToLowerInvariant()}").ConfigureAwait(false);
            return;
        }

        await next(http).ConfigureAwait(false);
    }

    private Task RefuseAsync(HttpContext http, string? from, string reason, int status, string words)
    {
        refusals.Add(Door, from, reason);
        if (status == StatusCodes.Status401Unauthorized)
        {
            http.Response.Headers.WWWAuthenticate = "Bearer realm=\"evenkeel\"";
        }

        return ControlEndpoints.Refuse(http, new Problem(ProblemKind.Forbidden, words), status);
    }
}
