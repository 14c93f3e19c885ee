using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Evenkeel.Agent.Host.Alerts;
using Evenkeel.Core.Model;
using Evenkeel.Services.Alerting;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Evenkeel.Tests.Alerts;

/// <summary>Deliveries to a real HTTP server and a real program.</summary>
public sealed class DeliveryTests : IDisposable
{
    private static readonly Notice notice = new("msg_1", new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero), """{"alert":"node-lost"}""", new Dictionary<string, string> { ["EVENKEEL_ALERT"] = "node-lost" });
    private readonly string directory = Directory.CreateTempSubdirectory("ek-alerts-").FullName;
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Webhook_IsSignedAsStandardWebhooksSays()
    {
        var key = RandomNumberGenerator.GetBytes(32);
        var secret = Keep("secret", "whsec_" + Convert.ToBase64String(key) + "\n");
        await using var server = await Server.StartAsync(_ => 204);
        using var delivery = new WebhookDelivery(Receiver(server.Url) with
        {
            SecretFile = secret, AuthorizationFile = Keep("authorization", "Bearer abc\n"), Headers = new Dictionary<string, string> { ["X-Team"] = "ops" },
        });
        Assert.True((await delivery.SendAsync(notice, Token)).Done);
        var got = Assert.Single(server.Got);
        Assert.Equal(notice.Body, got.Body);
        Assert.Equal("application/json", got.Headers["Content-Type"]);
        Assert.Equal(("Bearer abc", "ops", "msg_1"), (got.Headers["Authorization"], got.Headers["X-Team"], got.Headers["webhook-id"]));
        var signed = Encoding.UTF8.GetBytes($"msg_1.{notice.At.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture)}.{notice.Body}");
        Assert.Equal("v1," + Convert.ToBase64String(HMACSHA256.HashData(key, signed)), got.Headers["webhook-signature"]);
    }

    [Theory]
    [InlineData(500, true)]
    [InlineData(503, true)]
    [InlineData(429, true)]
    [InlineData(404, false)]
    [InlineData(302, false)]
    public async Task Webhook_Refused_SaysWhetherAnotherAttemptMayHelp(int status, bool later)
    {
        await using var server = await Server.StartAsync(_ => status);
        using var delivery = new WebhookDelivery(Receiver(server.Url));
        var result = await delivery.SendAsync(notice, Token);
        Assert.Equal((false, later), (result.Done, result.MayWorkLater));
        Assert.Contains(status.ToString(CultureInfo.InvariantCulture), result.Reason, StringComparison.Ordinal);
        Assert.Single(server.Got);
    }

    [Theory, InlineData(503, true), InlineData(400, false)]
    public async Task Webhook_HeadersThenNothing_EndsAtTheLimitAndSaysWhatItHeard(int status, bool later)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var answering = Task.Run(async () =>
        {
            var client = await listener.AcceptTcpClientAsync(Token);
            await client.GetStream().WriteAsync(Encoding.ASCII.GetBytes($"HTTP/1.1 {status} No\r\nContent-Length: 100\r\n\r\nhalf"), Token);
            return client; // Left open.
        }, Token);
        using var delivery = new WebhookDelivery(Receiver($"http://{listener.LocalEndpoint}/hook") with { TimeLimit = TimeSpan.FromMilliseconds(500) });
        var result = await delivery.SendAsync(notice, Token).WaitAsync(TimeSpan.FromSeconds(10), Token);
        Assert.Equal((false, later), (result.Done, result.MayWorkLater));
        Assert.Contains(status.ToString(CultureInfo.InvariantCulture), result.Reason, StringComparison.Ordinal);
        (await answering).Dispose();
    }

    [Fact]
    public async Task Webhook_NoAnswer_EndsAtTheLimit()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        using var delivery = new WebhookDelivery(Receiver($"http://{listener.LocalEndpoint}/hook") with { TimeLimit = TimeSpan.FromMilliseconds(500) });
        var result = await delivery.SendAsync(notice, Token).WaitAsync(TimeSpan.FromSeconds(10), Token);
        Assert.Equal((false, true), (result.Done, result.MayWorkLater));
        Assert.Contains("no answer within 0.5 s", result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Report_Webhook_TellsItsHostAndNotItsPath()
    {
        await using var queue = new ReceiverQueue(Receiver("https://hooks.example.org:8443/services/T0/B0/s3cret?key=x"), new CommandDelivery(new AlertReceiverSpec { Name = "hook", Command = ["true"] }), TimeProvider.System, _ => { });
        Assert.Equal("https://hooks.example.org:8443", queue.Report.Where);
    }

    [Fact]
    public async Task Webhook_BadSecret_SendsNothingUnsigned()
    {
        await using var server = await Server.StartAsync(_ => 204);
        using var delivery = new WebhookDelivery(Receiver(server.Url) with { SecretFile = Keep("secret", "short") });
        var result = await delivery.SendAsync(notice, Token);
        Assert.False(result.Done);
        Assert.Contains("whsec_", result.Reason, StringComparison.Ordinal);
        Assert.Empty(server.Got);
    }

    [Fact]
    public async Task Queue_TriesAgainInOrderUntilTheReceiverHasIt()
    {
        await using var server = await Server.StartAsync(count => count < 3 ? 503 : 204);
        await using var queue = new ReceiverQueue(Receiver(server.Url), new WebhookDelivery(Receiver(server.Url)), TimeProvider.System, _ => { });
        queue.Add(notice);
        queue.Add(notice with { Id = "msg_2" });
        await server.UntilAsync(4);
        Assert.Equal(["msg_1", "msg_1", "msg_1", "msg_2"], server.Got.Select(got => got.Headers["webhook-id"]));
        while (queue.Report.LastDone is null || queue.Report.Waiting > 0) await Task.Delay(10, Token);
        Assert.Equal("", queue.Problem);
    }

    [Fact]
    public async Task Queue_WhatWillNeverWork_IsGivenUpAndSaid()
    {
        await using var server = await Server.StartAsync(count => count == 1 ? 400 : 204);
        var said = new ConcurrentQueue<string>();
        await using var queue = new ReceiverQueue(Receiver(server.Url), new WebhookDelivery(Receiver(server.Url)), TimeProvider.System, said.Enqueue);
        queue.Add(notice);
        queue.Add(notice with { Id = "msg_2" });
        await server.UntilAsync(2);
        Assert.Equal(["msg_1", "msg_2"], server.Got.Select(got => got.Headers["webhook-id"]));
        Assert.Contains(said, line => line.Contains("given up", StringComparison.Ordinal) && line.Contains("node-lost", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Command_GetsTheMessageAndTheShortForm()
    {
        var file = Path.Combine(directory, "got");
        var delivery = new CommandDelivery(new AlertReceiverSpec { Name = "mail", Command = ["sh", "-c", "echo $EVENKEEL_ALERT > \"$0\"; cat >> \"$0\"", file] });
        Assert.True((await delivery.SendAsync(notice, Token)).Done);
        Assert.Equal("node-lost\n" + notice.Body, await File.ReadAllTextAsync(file, Token));
    }

    [Theory]
    [InlineData("echo no mail here >&2; exit 3", "it ended with 3: no mail here")]
    [InlineData("sleep 60", "killed")]
    public async Task Command_ThatFails_SaysWhy(string script, string words)
    {
        var delivery = new CommandDelivery(new AlertReceiverSpec { Name = "mail", Command = ["sh", "-c", script], TimeLimit = TimeSpan.FromMilliseconds(500) });
        var result = await delivery.SendAsync(notice, Token);
        Assert.Equal((false, true), (result.Done, result.MayWorkLater));
        Assert.Contains(words, result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Command_ThatIsNotThere_SaysSo()
    {
        var result = await new CommandDelivery(new AlertReceiverSpec { Name = "mail", Command = ["/no/such/program"] }).SendAsync(notice, Token);
        Assert.Contains("/no/such/program could not be started", result.Reason, StringComparison.Ordinal);
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private static AlertReceiverSpec Receiver(string url) => new() { Name = "hook", Webhook = new Uri(url) };

    private string Keep(string name, string text)
    {
        var file = Path.Combine(directory, name);
        File.WriteAllText(file, text);
        return file;
    }

    private sealed record Request(Dictionary<string, string> Headers, string Body);

    /// <summary>Answers the Nth request with what it is told to.</summary>
    private sealed class Server(WebApplication application) : IAsyncDisposable
    {
        private readonly ConcurrentQueue<Request> got = new();
        private readonly SemaphoreSlim came = new(0);

        public IReadOnlyList<Request> Got => [.. got];
        public string Url => application.Urls.Single() + "/hook";

        public static async Task<Server> StartAsync(Func<int, int> answer)
        {
            var builder = WebApplication.CreateSlimBuilder();
            builder.Logging.ClearProviders();
            builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
            var application = builder.Build();
            var server = new Server(application);
            application.MapPost("/hook", (RequestDelegate)(async http =>
            {
                using var reader = new StreamReader(http.Request.Body);
                var body = await reader.ReadToEndAsync();
                server.got.Enqueue(new Request(http.Request.Headers.ToDictionary(pair => pair.Key, pair => pair.Value.ToString(), StringComparer.OrdinalIgnoreCase), body));
                http.Response.StatusCode = answer(server.got.Count);
                if (http.Response.StatusCode == 302) http.Response.Headers.Location = "/elsewhere";
                server.came.Release();
            }));
            await application.StartAsync(Token);
            return server;
        }

        public async Task UntilAsync(int requests)
        {
            for (var count = 0; count < requests; count++) Assert.True(await came.WaitAsync(TimeSpan.FromSeconds(30), Token));
        }

        public async ValueTask DisposeAsync()
        {
            await application.DisposeAsync();
            came.Dispose();
        }
    }
}
