using Evenkeel.Agent.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Evenkeel.Agent.Host;

/// <summary>The control API on the agent's unix socket; file permissions say who may use it.</summary>
internal static class ControlServer
{
    /// <param name="more">What is served beside the plane; before it, so that it can watch over it.</param>
    public static async Task<IAsyncDisposable> StartAsync(string socket, IControlPlane plane, params IEnumerable<Action<WebApplication>> more)
    {
        // Gone after each boot: /run is no disk. Who may open the socket rules the cluster.
        Directory.CreateDirectory(Path.GetDirectoryName(socket)!, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        File.Delete(socket); // left by an agent that was killed
        var application = Build(kestrel => kestrel.ListenUnixSocket(socket), one => Map(one, plane, more));
        await application.StartAsync().ConfigureAwait(false);
        File.SetUnixFileMode(socket, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        return application;
    }

    /// <summary>Every route of the API.</summary>
    public static void Map(WebApplication application, IControlPlane plane, IEnumerable<Action<WebApplication>> more)
    {
        foreach (var map in more)
        {
            map(application);
        }

        application.MapControl(plane);
    }

    public static WebApplication Build(Action<KestrelServerOptions> listen, Action<WebApplication> map)
    {
        var builder = BareHost.CreateBuilder();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(listen);
        var application = builder.Build();
        map(application);
        return application;
    }
}
