using Evenkeel.Agent.Control;
using Evenkeel.Cli;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Logging;

namespace Evenkeel.Tests.Cli;

/// <summary>A real Kestrel on a real unix socket, with a fake plane behind the real endpoints.</summary>
internal sealed class ControlHost : IAsyncDisposable
{
    private readonly WebApplication _app;

    private ControlHost(WebApplication app, string socket, FakeControlPlane plane) => (_app, Socket, Plane) = (app, socket, plane);

    public string Socket { get; }
    public FakeControlPlane Plane { get; }

    public static async Task<ControlHost> StartAsync(string directory, FakeControlPlane? plane = null)
    {
        plane ??= new FakeControlPlane();
        var socket = ControlSockets.Prepare(directory, plane.Hello.Cluster, plane.Hello.Node.Value);
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.ListenUnixSocket(socket));
        var app = builder.Build();
        app.MapControl(plane);
        await app.StartAsync();
        return new ControlHost(app, socket, plane);
    }

    /// <summary>Runs the command line in this process against this host.</summary>
    public (int Code, string Output, string Error) Run(params string[] arguments) => Evenkeel([.. arguments, "--cluster", Socket]);

    public static (int Code, string Output, string Error) Evenkeel(params string[] arguments)
    {
        using StringWriter output = new(), error = new();
        var code = CommandLine.Run(arguments, output, error);
        return (code, output.ToString(), error.ToString());
    }

    public ValueTask DisposeAsync() => _app.DisposeAsync();
}

/// <summary>A directory that goes away with the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("ek-").FullName;

    public string Write(string name, string text)
    {
        var path = System.IO.Path.Combine(Path, name);
        File.WriteAllText(path, text);
        return path;
    }

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
