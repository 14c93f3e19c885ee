using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Conformance;

/// <summary>What the client was told, and every byte that the instance was.</summary>
internal sealed record RawExchange(string Answer, string Received)
{
    public IReadOnlyList<string> Requests => RecordingInstance.Requests(Received);
    public IReadOnlyList<string> Statuses => [.. Answer.Split("HTTP/1.1 ").Skip(1).Select(rest => rest[..3])];

    /// <summary>One connection to a balancer that carries these bytes (each character one), until the balancer ends it.</summary>
    public static async Task<RawExchange> OfAsync(string bytes)
    {
        await using var instance = new RecordingInstance();
        var listen = new PublicEndpoint(IPAddress.Loopback, OpenDoor.FreePort());
        string answer;
        await using (var balancer = new HttpBalancer())
        {
            balancer.Publish(new RouteTable(1,
            [
                new Route { Service = "web", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null, Destinations = [instance.Destination()] },
            ]));
            Assert.Null(await balancer.OpenAsync(listen, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
            answer = await SayAsync(listen, Encoding.Latin1.GetBytes(bytes));
        }
        return new(answer, await instance.ReceivedAsync());
    }

    private static async Task<string> SayAsync(PublicEndpoint listen, byte[] bytes)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(8));
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await client.ConnectAsync(listen.ToIPEndPoint(), patience.Token);
        await client.SendAsync(bytes, patience.Token);
        using var received = new MemoryStream();
        try
        {
            using var stream = new NetworkStream(client);
            await stream.CopyToAsync(received, patience.Token);
        }
        catch (IOException) { }
        return Encoding.Latin1.GetString(received.ToArray());
    }
}
