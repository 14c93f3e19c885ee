using System.Globalization;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;

namespace Evenkeel.BalancerBench;

/// <summary>Our balancer as a process of its own: <c>serve http|tcp PORT BACKEND-PORT...</c>, until it is killed.</summary>
internal static class Serve
{
    private static readonly HealthSpec checks = new() { Kind = ProbeKind.Http, Path = "/healthz" };

    public static async Task<int> RunAsync(string[] arguments)
    {
        var protocol = arguments[0] == "tcp" ? PublishProtocol.Tcp : PublishProtocol.Http;
        var listen = new PublicEndpoint(IPAddress.Loopback, Number(arguments[1]));
        var table = new RouteTable(1,
        [
            new Route
            {
                Service = "web", Vip = "front", Listen = listen, Protocol = protocol, Balance = BalancePolicy.TwoChoices, Health = checks,
                Destinations = [.. arguments.Skip(2).Select(port =>
                    new Destination("web", new NodeName("n" + port), new PrivateEndpoint(IPAddress.Loopback, Number(port)), DestinationState.Up))],
            },
        ]);
        if (protocol == PublishProtocol.Tcp)
        {
            var tcp = new TcpBalancer();
            tcp.Publish(table);
            if (await tcp.OpenAsync(listen, TimeSpan.FromSeconds(2), CancellationToken.None) is { } failed) throw new InvalidOperationException(failed);
        }
        else
        {
            var http = new HttpBalancer();
            http.Publish(table);
            if (await http.OpenAsync(listen, TimeSpan.FromSeconds(2), CancellationToken.None) is { } failed) throw new InvalidOperationException(failed);
        }
        await Task.Delay(Timeout.Infinite);
        return 0;
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);
}
