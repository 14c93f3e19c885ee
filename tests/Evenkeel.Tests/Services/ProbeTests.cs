using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Services.Health;
using Xunit;

namespace Evenkeel.Tests.Services;

/// <summary>Checks of real servers.</summary>
public sealed class ProbeTests
{
    private static readonly HealthSpec http = new() { Kind = ProbeKind.Http, Path = "/healthz" };

    [Theory]
    [InlineData("200 OK", "ok", "", "")]
    [InlineData("302 Found", "", "", "")]
    [InlineData("404 Not Found", "", "", "answers 404")]
    [InlineData("500 Oh", "", "", "answers 500")]
    [InlineData("302 Found", "", "status", "answers 302")]
    [InlineData("200 OK", "state: ready", "contains", "")]
    [InlineData("200 OK", "state: starting", "contains", "answers 200 without 'state: ready' in its body")]
    public async Task Http_Answer_IsJudgedAsTheCheckSays(string status, string body, string asks, string problem)
    {
        var health = asks switch { "status" => http with { GreatestStatus = 299 }, "contains" => http with { Contains = "state: ready" }, _ => http };
        var (found, _) = await AskAsync(health, status, body);
        if (problem.Length == 0) Assert.Null(found);
        else Assert.EndsWith(problem, found, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Http_Host_IsAskedFor()
    {
        var (found, head) = await AskAsync(http with { Host = "shop.example" }, "200 OK", "");
        Assert.Null(found);
        Assert.Contains("\r\nHost: shop.example\r\n", head, StringComparison.Ordinal);
        Assert.StartsWith("GET /healthz HTTP/1.1\r\n", head, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tls_ServerOfTls_IsHealthy_AndItsNameWasAskedFor()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var unsigned = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256).CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(-1));
        using var certificate = X509CertificateLoader.LoadPkcs12(unsigned.Export(X509ContentType.Pkcs12), null);
        var asked = "";
        var found = await ServeAsync(new HealthSpec { Kind = ProbeKind.Tls, Host = "db.example" }, async stream =>
        {
            await using var tls = new SslStream(stream);
            await tls.AuthenticateAsServerAsync((_, hello, _, _) =>
            {
                asked = hello.ServerName;
                return ValueTask.FromResult(new SslServerAuthenticationOptions { ServerCertificate = certificate });
            }, null, TestContext.Current.CancellationToken);
        });
        Assert.Null(found);
        Assert.Equal("db.example", asked);
    }

    [Fact]
    public async Task Tls_ServerOfSomethingElse_IsNot() =>
        Assert.NotNull(await ServeAsync(new HealthSpec { Kind = ProbeKind.Tls }, async stream => await stream.WriteAsync("220 mail.example ESMTP\r\n"u8.ToArray())));

    [Fact]
    public async Task Tls_ServerThatEndsTheConnection_IsNot() =>
        Assert.NotNull(await ServeAsync(new HealthSpec { Kind = ProbeKind.Tls }, _ => Task.CompletedTask));

    private static async Task<(string? Problem, string Head)> AskAsync(HealthSpec health, string status, string body)
    {
        var head = new StringBuilder();
        var problem = await ServeAsync(health, async stream =>
        {
            var one = new byte[1];
            while (!head.ToString().EndsWith("\r\n\r\n", StringComparison.Ordinal) && await stream.ReadAsync(one) > 0) head.Append((char)one[0]);
            await stream.WriteAsync(Encoding.Latin1.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {body.Length}\r\n\r\n{body}"));
        });
        return (problem, head.ToString());
    }

    private static async Task<string?> ServeAsync(HealthSpec health, Func<NetworkStream, Task> serve)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = Task.Run(async () =>
        {
            using var stream = new NetworkStream(await listener.AcceptSocketAsync(TestContext.Current.CancellationToken), ownsSocket: true);
            await serve(stream);
        }, TestContext.Current.CancellationToken);
        var probe = Probes.For(health, (IPEndPoint)listener.LocalEndpoint, null)!;
        var found = await probe.CheckAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20), TestContext.Current.CancellationToken);
        (probe as IDisposable)?.Dispose();
        await serving;
        return found;
    }
}
