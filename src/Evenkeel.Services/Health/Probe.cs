using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Health;

/// <summary>One check of one instance: null when it passes, else what is wrong in words.</summary>
public interface IProbe
{
    Task<string?> CheckAsync(CancellationToken cancellation);
}

/// <summary>Passes when a TCP connection is accepted. A stopped (SIGSTOP) process still passes: prefer HTTP.</summary>
public sealed class TcpProbe(IPEndPoint target) : IProbe
{
    public async Task<string?> CheckAsync(CancellationToken cancellation)
    {
        try
        {
            using var socket = new Socket(target.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(target, cancellation).ConfigureAwait(false);
            return null;
        }
        catch (SocketException exception)
        {
            return $"{target}: {exception.Message}";
        }
    }
}

/// <summary>Passes on the answer that the check wants, on a connection of its own (a kept one would not notice a full backlog).</summary>
public sealed class HttpProbe(IPEndPoint target, HealthSpec health) : IProbe, IDisposable
{
    private readonly HttpMessageInvoker _client = new(new SocketsHttpHandler
    {
        PooledConnectionLifetime = TimeSpan.Zero, AllowAutoRedirect = false, UseProxy = false, UseCookies = false,
        ActivityHeadersPropagator = null,
    });

    public async Task<string?> CheckAsync(CancellationToken cancellation)
    {
        try
        {
            return await HttpHealth.CheckAsync(_client, target.ToString(), health, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            return $"{target}: {failure.Message}";
        }
    }

    public void Dispose() => _client.Dispose();
}

/// <summary>Passes when a command ends with 0.</summary>
public sealed class ScriptProbe(IReadOnlyList<string> command, string? workingDirectory) : IProbe
{
    public async Task<string?> CheckAsync(CancellationToken cancellation)
    {
        using var process = new System.Diagnostics.Process
        {
            StartInfo = new System.Diagnostics.ProcessStartInfo(command[0], command.Skip(1))
            {
                UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = workingDirectory ?? "",
            },
        };
        try
        {
            process.Start();
            var output = process.StandardOutput.ReadToEndAsync(cancellation);
            var errors = process.StandardError.ReadToEndAsync(cancellation);
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
            await output.ConfigureAwait(false);
            return process.ExitCode == 0 ? null : $"'{command[0]}' ended with {process.ExitCode}: {(await errors.ConfigureAwait(false)).Trim()}";
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            return $"cannot run '{command[0]}': {exception.Message}";
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw;
        }
    }
}

public static class Probes
{
    /// <returns>Null when the service declares no check, or nothing to check at.</returns>
    public static IProbe? For(HealthSpec? health, IPEndPoint? target, string? workingDirectory) => (health?.Kind, target) switch
    {
        (ProbeKind.Http, { } endpoint) => new HttpProbe(endpoint, health),
        (ProbeKind.Tcp, { } endpoint) => new TcpProbe(endpoint),
        (ProbeKind.Grpc, { } endpoint) => new GrpcProbe(endpoint, health.GrpcService),
        (ProbeKind.Tls, { } endpoint) => new TlsProbe(endpoint, health.Host),
        (ProbeKind.Script, _) => new ScriptProbe(health.Command!, workingDirectory),
        _ => null,
    };
}
