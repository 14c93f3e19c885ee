using System.Collections.Concurrent;
using System.Net;
using System.Net.Http;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

/// <summary>A balancer with one open TLS door on loopback.</summary>
internal sealed class TlsDoor : IAsyncDisposable
{
    private long version;
    private TlsSpec? shown;

    private TlsDoor() => Balancer = new HttpBalancer(new HttpBalancerOptions { Tell = Told.Enqueue });

    public HttpBalancer Balancer { get; }
    public ScriptedInstance Instance { get; } = new("a");
    public PublicEndpoint Listen { get; } = new(IPAddress.Loopback, OpenDoor.FreePort());
    public ConcurrentQueue<string> Told { get; } = new();

    public static async Task<TlsDoor> OpenAsync(TlsSpec tls)
    {
        var door = new TlsDoor();
        door.Publish(tls);
        Assert.Null(await door.Balancer.OpenTlsAsync(door.Listen, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
        return door;
    }

    public void Publish(TlsSpec tls, params Route[] more)
    {
        shown = tls;
        Publish(Instance.Destination(), more);
    }

    /// <summary>The same door in front of another instance.</summary>
    public void PublishTo(Destination instance, DoorSpec? door = null) => Publish(instance, [], door);

    private void Publish(Destination instance, Route[] more, DoorSpec? door = null) => Balancer.Publish(new RouteTable(++version,
    [
        new Route
        {
            Service = "web", Vip = "front", Listen = Listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.RoundRobin, Health = null,
            Door = door ?? new DoorSpec { Http = new HttpDoorSpec { Tls = shown } }, Destinations = [instance],
        },
        .. more,
    ]));

    /// <summary>A TLS connection that has been agreed on, and the names of the certificate that was shown.</summary>
    public async Task<(SslStream Stream, string Shown)> ConnectAsync(SslClientAuthenticationOptions options)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(Listen.ToIPEndPoint(), TestContext.Current.CancellationToken);
        var stream = new SslStream(new NetworkStream(socket, ownsSocket: true));
        try
        {
            options.RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null;
            await stream.AuthenticateAsClientAsync(options, TestContext.Current.CancellationToken);
            return (stream, ((X509Certificate2)stream.RemoteCertificate!).GetNameInfo(X509NameType.SimpleName, false));
        }
        catch
        {
            await stream.DisposeAsync();
            throw;
        }
    }

    public async Task<string> ShownAsync(string name)
    {
        var (stream, shown) = await ConnectAsync(new SslClientAuthenticationOptions { TargetHost = name });
        await stream.DisposeAsync();
        return shown;
    }

    public static HttpClient Client(X509Certificate2? own = null)
    {
        var handler = new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false };
        handler.SslOptions.RemoteCertificateValidationCallback = (_, shown, _, _) => shown is not null;
        if (own is not null) handler.SslOptions.ClientCertificates = [own];
        return new HttpClient(handler);
    }

    public async ValueTask DisposeAsync()
    {
        await Balancer.DisposeAsync();
        await Instance.DisposeAsync();
    }
}
