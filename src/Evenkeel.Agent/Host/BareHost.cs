using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;

namespace Evenkeel.Agent.Host;

/// <summary>The host of the agent's own HTTP servers: Kestrel and routes, nothing else.</summary>
internal static class BareHost
{
    /// <remarks>
    /// The other builders read <c>appsettings.json</c> and the environment, and watch the whole tree below the working directory for changes:
    /// seconds of a processor at each start, and settings that the cluster's file does not know of.
    /// </remarks>
    public static WebApplicationBuilder CreateBuilder()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        builder.Services.AddRoutingCore();
        return builder;
    }
}
