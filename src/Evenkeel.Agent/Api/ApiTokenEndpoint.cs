using System.Text.RegularExpressions;
using Evenkeel.Agent.Configuration.Keys;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Core.Loop.Ports;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Api;

/// <summary>Where tokens of the control API are made, listed and revoked.</summary>
internal sealed partial class ApiTokenEndpoint(ApiTokens tokens)
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(3650);

    public void Map(WebApplication application)
    {
        application.MapGet(ControlRoutes.ApiTokens, (RequestDelegate)(http => ControlEndpoints.Send(http,
            (Answer<ApiTokenList>)new ApiTokenList([.. tokens.All.Select(one => new ApiTokenEntry(one.Name, one.Role, one.Created, one.Ends, one.By))]), ControlJson.Default.ApiTokenList)));
        application.MapPost(ControlRoutes.ApiTokens, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.ApiTokenOrder, async order =>
            await ControlEndpoints.Send(http, await CreateAsync(order, AuditEndpoint.NameOf(http), http.RequestAborted).ConfigureAwait(false), ControlJson.Default.NewApiToken).ConfigureAwait(false))));
        application.MapPost(ControlRoutes.ApiTokenRevocation, (RequestDelegate)(async http =>
            await ControlEndpoints.Send(http, await RevokeAsync((string)http.Request.RouteValues["name"]!, http.RequestAborted).ConfigureAwait(false), ControlJson.Default.Done).ConfigureAwait(false)));
    }

    private async Task<Answer<NewApiToken>> CreateAsync(ApiTokenOrder order, string by, CancellationToken cancellation)
    {
        if (order.Name is null || !NamePattern().IsMatch(order.Name))
        {
            return new Problem(ProblemKind.Malformed, $"a token's name is {Shapes.NameWhat}");
        }

        if (order.Lifetime <= TimeSpan.Zero || order.Lifetime > Longest)
        {
            return new Problem(ProblemKind.Malformed, $"a token lasts for more than nothing and at most {Longest.TotalDays:0} days");
        }

        try
        {
            return await tokens.CreateAsync(order.Name, order.Role, order.Lifetime, by, cancellation).ConfigureAwait(false) is { } secret
                ? new NewApiToken(order.Name, order.Role, secret, DateTimeOffset.UtcNow + order.Lifetime)
                : new Problem(ProblemKind.Refused, $"there is a token '{order.Name}' already", $"Choose another name, or end that one first: evenkeel api token revoke {order.Name}");
        }
        catch (StoreUnavailableException exception)
        {
            return new Problem(ProblemKind.Unavailable, $"the token is not known to be kept: {exception.Message}", "See evenkeel status");
        }
    }

    private async Task<Answer<Done>> RevokeAsync(string name, CancellationToken cancellation)
    {
        try
        {
            return await tokens.RevokeAsync(name, cancellation).ConfigureAwait(false) ? new Done($"the token '{name}' is worth nothing any more")
                : new Problem(ProblemKind.Unknown, $"there is no token '{name}'", $"Known: {string.Join(", ", tokens.All.Select(one => one.Name))}");
        }
        catch (StoreUnavailableException exception)
        {
            return new Problem(ProblemKind.Unavailable, $"the token is not known to be revoked: {exception.Message}", "Ask again");
        }
    }

    [GeneratedRegex($"^{Shapes.NamePattern}$", RegexOptions.CultureInvariant)]
    private static partial Regex NamePattern();
}
