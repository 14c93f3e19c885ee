using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Sends requests through a balancer of its own on loopback, so that everything on their way is compiled before the first
/// client comes. Else those who come first to a node that has just taken over pay for it, on a busy machine with a failure.
/// </summary>
internal static class BalancerWarmUp
{
    // What must be compiled at all is, after a few; better code comes with the first thousand calls (Evenkeel.Cli.csproj).
    private const int Requests = 60;
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(4);

    /// <summary>Ends in four seconds at the latest; that it failed is told, and stops nothing.</summary>
    public static async Task RunAsync(Action<string> log, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Longest);
        try
        {
            await using var destination = await AnswerAsync(limit.Token).ConfigureAwait(false);
            await using var balancer = new HttpBalancer();
            var listen = new PublicEndpoint(IPAddress.Loopback, FreePort());
            var port = new Uri(destination.Urls.Single()).Port;
            balancer.Publish(new RouteTable(1,
            [
                new Route
                {
                    Service = "warm-up", Vip = "warm-up", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null,
                    Destinations = [new Destination("warm-up", new NodeName("self"), new PrivateEndpoint(IPAddress.Loopback, port), DestinationState.Up)],
                },
            ]));
            if (await balancer.OpenAsync(listen, TimeSpan.Zero, limit.Token).ConfigureAwait(false) is { } reason)
            {
                log($"the balancer is not warmed up: {reason}");
                return;
            }

            using var clients = new HttpClient(new SocketsHttpHandler { UseProxy = false });
            TimeSpan first = default, last = default;
            for (var number = 0; number < Requests; number++)
            {
                var began = Stopwatch.GetTimestamp();
                using var request = new HttpRequestMessage(number % 4 == 3 ? HttpMethod.Post : HttpMethod.Get, $"http://{listen}/");
                request.Content = request.Method == HttpMethod.Post ? new StringContent("warm") : null;
                // Every other one on a connection of its own, as most clients come.
                request.Headers.ConnectionClose = number % 2 == 0;
                using var response = await clients.SendAsync(request, limit.Token).ConfigureAwait(false);
                last = Stopwatch.GetElapsedTime(began);
                first = number == 0 ? last : first;
            }

            log(string.Create(CultureInfo.InvariantCulture, $"the balancer is warm: its first request took {first.TotalMilliseconds:0.#} ms, its last {last.TotalMilliseconds:0.#} ms"));
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or SocketException or OperationCanceledException)
        {
            if (!cancellation.IsCancellationRequested)
            {
                log($"the balancer is not warmed up: {exception.Message}");
            }
        }
    }

    private static async Task<WebApplication> AnswerAsync(CancellationToken cancellation)
    {
        var builder = BareHost.CreateBuilder();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var application = builder.Build();
        application.Run((RequestDelegate)(http => http.Response.WriteAsync("warm", http.RequestAborted)));
        await application.StartAsync(cancellation).ConfigureAwait(false);
        return application;
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
