using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>What Kestrel and the forwarder ask a container for. There is no host: doors come and go while the balancer stays.</summary>
internal static class DoorServices
{
    public static ServiceProvider Build(ILoggerFactory logs)
    {
        // Kestrel's HTTPS asks for services of Kestrel's own, which only the extension of a host's builder can register.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore();
        return builder.Services.AddSingleton(logs).AddLogging().AddMetrics().AddHttpForwarder().BuildServiceProvider();
    }
}
