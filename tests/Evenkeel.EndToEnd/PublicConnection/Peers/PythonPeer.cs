using System.Diagnostics;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection.Peers;

/// <summary>A server or client in Python, beside the test: another implementation of the protocol than .NET's.</summary>
internal sealed class PythonPeer : IAsyncDisposable
{
    // That which has the packages of Debian.
    private const string Debian = "/usr/bin/python3";
    private static readonly TimeSpan patience = TimeSpan.FromSeconds(60);
    private readonly Process process;
    private readonly Task<string> errors;

    private PythonPeer(string script, string[] arguments)
    {
        process = Process.Start(new ProcessStartInfo(Debian, [Path.Combine(AppContext.BaseDirectory, "PublicConnection", "Peers", script), .. arguments])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        })!;
        errors = process.StandardError.ReadToEndAsync();
    }

    public static PythonPeer Start(string script, params string[] arguments) => new(script, arguments);

    public static async Task<PythonPeer> ServeAsync(string script, int port)
    {
        var server = new PythonPeer(script, ["server", port.ToString(System.Globalization.CultureInfo.InvariantCulture)]);
        await server.SaysAsync("serving");
        return server;
    }

    /// <summary>The next line that it prints is this one.</summary>
    public async Task SaysAsync(string expected)
    {
        var line = await process.StandardOutput.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(patience);
        Assert.True(line == expected, $"said '{line}' instead of '{expected}' {(line is null ? await errors : "")}");
    }

    /// <summary>As the kernel does it: nothing of it runs any more when this returns.</summary>
    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
    }

    public void Continue() => process.StandardInput.WriteLine();

    public async ValueTask DisposeAsync()
    {
        if (!process.HasExited) process.Kill();
        await process.WaitForExitAsync();
        process.Dispose();
    }
}
