using System.Net;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Health;

/// <summary>Passes when the instance says SERVING by grpc.health.v1, on a connection of its own.</summary>
public sealed class GrpcProbe(IPEndPoint target, string? service) : IProbe
{
    public async Task<string?> CheckAsync(CancellationToken cancellation)
    {
        using var client = new HttpMessageInvoker(new SocketsHttpHandler { UseProxy = false, UseCookies = false, ActivityHeadersPropagator = null });
        try
        {
            return await GrpcHealth.CheckAsync(client, target.ToString(), service, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is HttpRequestException or IOException)
        {
            return $"{target}: {failure.Message}";
        }
    }
}
