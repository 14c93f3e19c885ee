using System.Net.Http;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PublicConnection.Balancer.Destinations;

namespace Evenkeel.PublicConnection.Balancer.Health;

internal enum CheckResult
{
    Healthy,
    Unhealthy,
    /// <summary>Our own timer came late: the prober was starved, which says nothing about the destination.</summary>
    Nothing,
}

/// <summary>One check of a destination over the private connection, as its service's health is declared.</summary>
internal static class ActiveCheck
{
    public static bool Applies(HealthSpec? health) => health is { Kind: ProbeKind.Http or ProbeKind.Tcp or ProbeKind.Tls or ProbeKind.Grpc };

    /// <summary>Never throws. HTTP: the answer that the check wants; TCP: a connection; TLS: a handshake; gRPC: SERVING.</summary>
    public static async Task<CheckResult> RunAsync(Backend backend, HealthSpec health)
    {
        var started = Environment.TickCount64;
        using var timeout = new CancellationTokenSource(health.Timeout);
        try
        {
            if (health.Kind == ProbeKind.Http) return await HttpAsync(backend, health, timeout.Token).ConfigureAwait(false) ? CheckResult.Healthy : CheckResult.Unhealthy;
            if (health.Kind == ProbeKind.Grpc) return await GrpcAsync(backend, health, timeout.Token).ConfigureAwait(false) ? CheckResult.Healthy : CheckResult.Unhealthy;
            using var socket = new Socket(backend.Destination.Endpoint.Address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(backend.Destination.Endpoint.ToIPEndPoint(), timeout.Token).ConfigureAwait(false);
            if (health.Kind != ProbeKind.Tls) return CheckResult.Healthy;
            return await TlsHealth.CheckAsync(new NetworkStream(socket), health.Host, timeout.Token).ConfigureAwait(false) is null ? CheckResult.Healthy : CheckResult.Unhealthy;
        }
        catch (OperationCanceledException)
        {
            var late = Environment.TickCount64 - started - health.Timeout.TotalMilliseconds;
            return late > Math.Max(50, health.Timeout.TotalMilliseconds / 2) ? CheckResult.Nothing : CheckResult.Unhealthy;
        }
        catch (Exception failure) when (failure is HttpRequestException or SocketException or IOException or ObjectDisposedException)
        {
            return failure is ObjectDisposedException ? CheckResult.Nothing : CheckResult.Unhealthy;
        }
    }

    private static async Task<bool> GrpcAsync(Backend backend, HealthSpec health, CancellationToken cancellation)
    {
        var problem = await GrpcHealth.CheckAsync(backend.Client.Repeatable, backend.Destination.Endpoint.ToString(), health.GrpcService, cancellation).ConfigureAwait(false);
        backend.ShowLife();
        return problem is null;
    }

    private static async Task<bool> HttpAsync(Backend backend, HealthSpec health, CancellationToken cancellation)
    {
        var problem = await HttpHealth.CheckAsync(backend.Client.Repeatable, backend.Destination.Endpoint.ToString(), health, cancellation).ConfigureAwait(false);
        // Whatever it said, it is not silent.
        backend.ShowLife();
        return problem is null;
    }
}
