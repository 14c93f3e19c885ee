using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.EndToEnd.PublicConnection.Peers;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>
/// Conversations that last: gRPC and WebSockets as others have implemented them, both sides, while tables and certificates change.
/// Needs openssl, python3-grpcio, python3-websockets.
/// </summary>
[Trait("Peer", "grpcio")]
public sealed class StreamTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-streams-").FullName;

    [Fact]
    public async Task Grpc_EveryKindOfCall_HoldsThroughChanges()
    {
        var port = FreePort.Take().Port;
        await using var server = await PythonPeer.ServeAsync("grpc_peer.py", port);
        await ConverseAsync("grpc_peer.py", port, new TlsSpec { Certificates = [Certificate()] }, listen => listen.ToString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WebSocket_MessagesBothWays_HoldThroughChanges(bool secure)
    {
        var port = FreePort.Take().Port;
        await using var server = await PythonPeer.ServeAsync("websocket_peer.py", port);
        await ConverseAsync("websocket_peer.py", port, secure ? new TlsSpec { Certificates = [Certificate()] } : null, listen => $"{(secure ? "wss" : "ws")}://{listen}/chat");
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private string CertificateFile => Path.Combine(directory, "a.pem");

    private async Task ConverseAsync(string script, int port, TlsSpec? tls, Func<PublicEndpoint, string> target)
    {
        var listen = FreePort.Take();
        var instance = new Destination("web", new NodeName("n1"), new PrivateEndpoint(IPAddress.Loopback, port), DestinationState.Up);
        var stranger = new Destination("web", new NodeName("n2"), new PrivateEndpoint(IPAddress.Loopback, 9), DestinationState.Draining);
        var route = new Route
        {
            Service = "web", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null,
            Door = new DoorSpec { Http = new HttpDoorSpec { Tls = tls } }, Destinations = [instance],
        };
        await using var balancer = new HttpBalancer();
        balancer.Publish(new RouteTable(1, [route]));
        Assert.Null(tls is null
            ? await balancer.OpenAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken)
            : await balancer.OpenTlsAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        await using var client = PythonPeer.Start(script, "client", target(listen), CertificateFile);
        await client.SaysAsync("waiting");
        for (var version = 2; version < 40; version++)
        {
            var changed = route with { Destinations = version % 2 == 0 ? [instance with { Weight = version }, stranger] : [instance] };
            var other = route with { Service = "other", Door = new DoorSpec { Http = new HttpDoorSpec { Paths = ["/other"], Tls = tls } } };
            balancer.Publish(new RouteTable(version, version % 3 == 0 ? [other, changed] : [changed]));
        }
        if (tls is not null)
        {
            // Who connects anew must meet this one; who is connected need not know.
            Certificate();
            balancer.ReloadCertificates();
        }
        // Draining takes new ones elsewhere and leaves this one be.
        balancer.Publish(new RouteTable(50, [route with { Destinations = [instance with { State = DestinationState.Draining }] }]));
        balancer.Publish(new RouteTable(51, [route]));
        client.Continue();
        await client.SaysAsync("ok");
    }

    private CertificateFiles Certificate()
    {
        var files = new CertificateFiles(CertificateFile, Path.Combine(directory, "a.key"));
        NginxFarm.Run($"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=a.example -addext subjectAltName=DNS:a.example -keyout {files.Key} -out {files.Certificate}");
        return files;
    }
}
