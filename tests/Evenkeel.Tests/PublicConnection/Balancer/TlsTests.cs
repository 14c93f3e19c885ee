using System.Net;
using System.Net.Http;
using System.Net.Security;
using System.Security.Authentication;
using System.Text;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.Logging;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer;

public sealed class TlsTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Request_OverTls_IsServedByBothVersionsOfHttp(int version)
    {
        using var certificates = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("a", "a.example")] });
        using var client = TlsDoor.Client();
        using var request = new HttpRequestMessage(HttpMethod.Get, $"https://{door.Listen}/x") { Version = new Version(version, version == 1 ? 1 : 0), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Host = "a.example";
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal("a", await answer.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var seen = Assert.Single(door.Instance.To("/x")).Headers;
        Assert.Equal(("https", "127.0.0.1", "a.example"), (seen["X-Forwarded-Proto"], seen["X-Forwarded-For"], seen["Host"]));
    }

    [Fact]
    public async Task ServerName_SeveralCertificates_TheFittingOneIsShown()
    {
        using var certificates = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec
        {
            Certificates = [certificates.Write("first", "first.example"), certificates.Write("wild", "*.b.example"), certificates.Write("b", "www.b.example", "b.example")],
        });
        Assert.Equal("www.b.example", await door.ShownAsync("b.example"));
        Assert.Equal("www.b.example", await door.ShownAsync("www.b.example"));
        Assert.Equal("*.b.example", await door.ShownAsync("other.b.example"));
        Assert.Equal("first.example", await door.ShownAsync("else.example"));
        Assert.Equal("first.example", await door.ShownAsync("x.other.b.example"));
    }

    [Fact]
    public async Task CertificateFiles_Renewed_NewClientsSeeItAndOldConnectionsGoOn()
    {
        using var certificates = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("a", "old.example")], Http2 = false });
        var (stream, shown) = await door.ConnectAsync(new SslClientAuthenticationOptions { TargetHost = "a" });
        await using var lasting = stream;
        Assert.Equal("old.example", shown);
        await AskAsync(lasting);
        certificates.Write("a", "new.example");
        door.Balancer.ReloadCertificates();
        Assert.Equal("new.example", await door.ShownAsync("a"));
        await AskAsync(lasting);
        Assert.Empty(door.Told);
    }

    [Fact]
    public async Task CertificateFiles_HalfRenewed_TheOldOneIsShownAndOneIsTold()
    {
        using var certificates = new TestCertificates();
        var files = certificates.Write("a", "old.example");
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [files] });
        Assert.Equal("old.example", await door.ShownAsync("a"));
        // The certificate is new already, the key still the old one's.
        var key = await File.ReadAllTextAsync(files.Key, TestContext.Current.CancellationToken);
        certificates.Write("a", "new.example");
        var newKey = await File.ReadAllTextAsync(files.Key, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(files.Key, key, TestContext.Current.CancellationToken);
        door.Balancer.ReloadCertificates();
        door.Balancer.ReloadCertificates();
        Assert.Equal("old.example", await door.ShownAsync("a"));
        Assert.Contains("the last good one is shown on", Assert.Single(door.Told), StringComparison.Ordinal);
        await File.WriteAllTextAsync(files.Key, newKey, TestContext.Current.CancellationToken);
        door.Balancer.ReloadCertificates();
        Assert.Equal("new.example", await door.ShownAsync("a"));
    }

    [Fact]
    public async Task CertificateFiles_Missing_ClientIsRefusedUntilTheyCome()
    {
        using var certificates = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Files("a")] });
        await Assert.ThrowsAnyAsync<Exception>(() => door.ShownAsync("a"));
        Assert.Contains("cannot be used", Assert.Single(door.Told), StringComparison.Ordinal);
        certificates.Write("a", "a.example");
        door.Balancer.ReloadCertificates();
        Assert.Equal("a.example", await door.ShownAsync("a"));
    }

    [Fact]
    public async Task Versions_Only13_ClientsOf12AreRefused()
    {
        using var certificates = new TestCertificates();
        var files = certificates.Write("a", "a.example");
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [files] });
        var (old, _) = await door.ConnectAsync(new SslClientAuthenticationOptions { TargetHost = "a", EnabledSslProtocols = SslProtocols.Tls12 });
        await old.DisposeAsync();
        door.Publish(new TlsSpec { Certificates = [files], Only13 = true });
        await Assert.ThrowsAnyAsync<Exception>(() => door.ConnectAsync(new SslClientAuthenticationOptions { TargetHost = "a", EnabledSslProtocols = SslProtocols.Tls12 }));
        Assert.Equal("a.example", await door.ShownAsync("a"));
    }

    [Fact]
    public async Task ClientAuthorities_OnlyTheirClients_AreServed()
    {
        using var certificates = new TestCertificates();
        using var strangers = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("a", "a.example")], ClientAuthorities = certificates.AuthorityFile });
        var url = new Uri($"https://{door.Listen}/");
        using var known = certificates.Client("known");
        using var stranger = strangers.Client("known");
        using (var client = TlsDoor.Client(known)) Assert.Equal("a", await client.GetStringAsync(url, TestContext.Current.CancellationToken));
        using (var client = TlsDoor.Client(stranger)) await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(url, TestContext.Current.CancellationToken));
        using (var client = TlsDoor.Client()) await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(url, TestContext.Current.CancellationToken));
        Assert.Single(door.Instance.Requests);
    }

    [Fact]
    public async Task ClientAuthorities_CannotBeRead_IsToldOnce()
    {
        using var certificates = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("a", "a.example")], ClientAuthorities = "/nowhere/clients.pem" });
        for (var i = 0; i < 2; i++)
        {
            using var client = TlsDoor.Client();
            await Assert.ThrowsAsync<HttpRequestException>(() => client.GetStringAsync(new Uri($"https://{door.Listen}/"), TestContext.Current.CancellationToken));
        }
        Assert.Contains("client_ca /nowhere/clients.pem cannot be used", Assert.Single(door.Told), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_OfGrpcLargerThanTheLimit_IsCutOff()
    {
        using var certificates = new TestCertificates();
        var tls = new TlsSpec { Certificates = [certificates.Write("a", "a.example")] };
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2));
        await using var instance = builder.Build();
        var taken = 0;
        instance.MapPost("/", (RequestDelegate)(async http =>
        {
            var buffer = new byte[4096];
            while (await http.Request.Body.ReadAsync(buffer, http.RequestAborted) is > 0 and var length) Interlocked.Add(ref taken, length);
        }));
        await instance.StartAsync(TestContext.Current.CancellationToken);
        await using var door = await TlsDoor.OpenAsync(tls);
        var at = new Uri(instance.Urls.First());
        door.PublishTo(door.Instance.Destination() with { Endpoint = new(IPAddress.Loopback, at.Port) }, new DoorSpec { Http = new HttpDoorSpec { Tls = tls, MaxBodyBytes = 10_000 } });
        using var client = TlsDoor.Client();
        foreach (var (bytes, passes) in new[] { (9_000, true), (1_000_000, false) })
        {
            taken = 0;
            // Without a length, as gRPC does it.
            using var request = new HttpRequestMessage(HttpMethod.Post, $"https://{door.Listen}/")
            {
                Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact, Content = new StreamContent(new Endless(bytes)),
            };
            request.Content.Headers.ContentType = new("application/grpc");
            HttpStatusCode? status = null;
            try
            {
                using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
                status = answer.StatusCode;
            }
            catch (HttpRequestException) { }
            Assert.Equal(passes, status == HttpStatusCode.OK);
            Assert.InRange(taken, passes ? bytes : 0, 10_000);
        }
    }

    /// <summary>So many zeros, and no length.</summary>
    private sealed class Endless(int bytes) : MemoryStream(new byte[bytes])
    {
        public override bool CanSeek => false;
    }

    [Fact]
    public async Task Hsts_EveryAnswer_SaysItOnce()
    {
        using var certificates = new TestCertificates();
        await using var door = await TlsDoor.OpenAsync(new TlsSpec { Certificates = [certificates.Write("a", "a.example")], Hsts = TimeSpan.FromHours(2) });
        using var client = TlsDoor.Client();
        foreach (var answer in new[] { "a", "!500 Broken", "!200 OK\r\nStrict-Transport-Security: max-age=1" })
        {
            door.Instance.Answer = _ => Task.FromResult<string?>(answer);
            using var got = await client.GetAsync(new Uri($"https://{door.Listen}/"), TestContext.Current.CancellationToken);
            Assert.Equal(["max-age=7200"], got.Headers.GetValues("Strict-Transport-Security"));
        }
    }

    [Fact]
    public async Task RedirectFrom_PlainRequest_IsSentToTheSameUrlByTls()
    {
        using var certificates = new TestCertificates();
        var tls = new TlsSpec { Certificates = [certificates.Write("a", "a.example")] };
        await using var door = await TlsDoor.OpenAsync(tls);
        var plain = new PublicEndpoint(IPAddress.Loopback, OpenDoor.FreePort());
        door.Publish(tls, new Route
        {
            Service = "web", Vip = "front", Listen = plain, Protocol = PublishProtocol.Http, Balance = BalancePolicy.RoundRobin, Health = null, RedirectPort = door.Listen.Port, Destinations = [],
        });
        Assert.Null(await door.Balancer.OpenAsync(plain, TimeSpan.FromSeconds(5), TestContext.Current.CancellationToken));
        using var client = TlsDoor.Client();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"http://{plain}/a%20b?c=%2F&d") { Content = new StringContent("x") };
        request.Headers.Host = $"a.example:{plain.Port}";
        using var answer = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.PermanentRedirect, answer.StatusCode);
        Assert.Equal($"https://a.example:{door.Listen.Port}/a%20b?c=%2F&d", answer.Headers.Location!.OriginalString);
        Assert.Empty(door.Instance.Requests);
    }

    private static async Task AskAsync(SslStream stream)
    {
        await stream.WriteAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        var text = "";
        var buffer = new byte[4096];
        while (!text.EndsWith("\r\n\r\na", StringComparison.Ordinal))
        {
            var length = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken);
            Assert.NotEqual(0, length);
            text += Encoding.ASCII.GetString(buffer, 0, length);
        }
        Assert.StartsWith("HTTP/1.1 200", text, StringComparison.Ordinal);
    }
}
