using System.Diagnostics;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Xunit;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>A TLS door between OpenSSL's and curl's idea of TLS and nginx. Needs root, nginx, openssl, curl, h2load.</summary>
[Collection("farm")]
[Trait("Peer", "openssl")]
public sealed class TlsTests : IDisposable
{
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-tls-").FullName;

    [Fact]
    public async Task OpenSslClient_VersionsAndNames_AreAnsweredAsConfigured()
    {
        using var farm = new NginxFarm(1);
        await using var balancer = new HttpBalancer();
        var listen = FreePort.Take();
        balancer.Publish(Table(farm, listen, 1, new TlsSpec { Certificates = [Certificate("a.example"), Certificate("b.example")] }));
        Assert.Null(await balancer.OpenTlsAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        foreach (var version in new[] { "-tls1_2", "-tls1_3" })
            foreach (var name in new[] { "a.example", "b.example" })
            {
                var seen = await SayAsync($"s_client -connect {listen} -servername {name} {version} -alpn h2");
                Assert.Contains($"subject=CN = {name}", seen, StringComparison.Ordinal);
                Assert.Contains("ALPN protocol: h2", seen, StringComparison.Ordinal);
            }
        Assert.DoesNotContain("subject=", await SayAsync($"s_client -connect {listen} -tls1_1 -cipher ALL:@SECLEVEL=0"), StringComparison.Ordinal);
        balancer.Publish(Table(farm, listen, 2, new TlsSpec { Certificates = [Certificate("a.example")], Only13 = true, Http2 = false }));
        Assert.DoesNotContain("subject=", await SayAsync($"s_client -connect {listen} -tls1_2"), StringComparison.Ordinal);
        Assert.Contains("No ALPN negotiated", await SayAsync($"s_client -connect {listen} -tls1_3"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Curl_BothVersionsOfHttp_VerifiesTheCertificateAndIsServed()
    {
        using var farm = new NginxFarm(1);
        await using var balancer = new HttpBalancer();
        var (listen, plain) = (FreePort.Take(), FreePort.Take());
        var table = Table(farm, listen, 1, new TlsSpec { Certificates = [Certificate("a.example")], Hsts = TimeSpan.FromDays(1) });
        balancer.Publish(table with { Routes = [.. table.Routes, table.Routes[0] with { Listen = plain, RedirectPort = listen.Port, Door = DoorSpec.Default, Destinations = [] }] });
        Assert.Null(await balancer.OpenTlsAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        Assert.Null(await balancer.OpenAsync(plain, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        var curl = $"curl -sS --max-time 20 --cacert {directory}/a.example.pem --resolve a.example:{listen.Port}:127.0.0.1 --resolve a.example:{plain.Port}:127.0.0.1 -w |%{{http_version}}|%{{http_code}}";
        Assert.Equal("n1|2|200", NginxFarm.Run($"{curl} --http2 https://a.example:{listen.Port}/"));
        Assert.Equal("n1|1.1|200", NginxFarm.Run($"{curl} --http1.1 https://a.example:{listen.Port}/"));
        Assert.Equal("n1|2|200", NginxFarm.Run($"{curl} -L http://a.example:{plain.Port}/x"));
        Assert.Contains("strict-transport-security: max-age=86400", NginxFarm.Run($"{curl} -D - https://a.example:{listen.Port}/"), StringComparison.OrdinalIgnoreCase);
        var body = Path.Combine(directory, "body");
        await File.WriteAllBytesAsync(body, new byte[20_000_000], TestContext.Current.CancellationToken);
        Assert.Equal("n1|2|200", NginxFarm.Run($"{curl} --http2 --data-binary @{body} https://a.example:{listen.Port}/upload"));
    }

    [Fact]
    public async Task H2load_TableAndCertificatesChangeMeanwhile_NoRequestFails()
    {
        using var farm = new NginxFarm(3);
        await using var balancer = new HttpBalancer();
        var listen = FreePort.Take();
        var tls = new TlsSpec { Certificates = [Certificate("a.example")] };
        var version = 1;
        balancer.Publish(Table(farm, listen, version, tls));
        Assert.Null(await balancer.OpenTlsAsync(listen, TimeSpan.FromSeconds(2), TestContext.Current.CancellationToken));
        using var load = Process.Start(new ProcessStartInfo("h2load", ["-n", "12000", "-c", "12", "-m", "4", $"https://{listen}/"]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var output = load.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        var changes = 0;
        for (var random = new Random(7); !load.HasExited; changes++)
        {
            var table = Table(farm, listen, ++version, tls);
            var route = table.Routes[0];
            var destinations = route.Destinations.Select(one => one with { Weight = 1 + random.Next(200) }).ToList();
            // One of the three drains, leaves the table, or stays, and comes back with a later table.
            if (changes % 3 == 1) destinations[changes % 2] = destinations[changes % 2] with { State = DestinationState.Draining };
            if (changes % 3 == 2) destinations.RemoveAt(changes % 2);
            var other = route with { Service = "other", Door = new DoorSpec { Http = new HttpDoorSpec { Paths = ["/other"], Tls = tls } } };
            balancer.Publish(table with { Routes = changes % 2 == 0 ? [route with { Destinations = destinations }] : [other, route with { Destinations = destinations }] });
            if (changes % 10 == 0)
            {
                Certificate("a.example");
                balancer.ReloadCertificates();
            }
            // A new connection each time, beside those that h2load keeps.
            Assert.Matches("^n[123]$", NginxFarm.Run($"curl -sSk --max-time 20 https://{listen}/"));
        }
        var said = await output;
        Assert.True(said.Contains("12000 succeeded, 0 failed, 0 errored, 0 timeout", StringComparison.Ordinal) && said.Contains("12000 2xx", StringComparison.Ordinal), said);
        Assert.InRange(changes, 3, int.MaxValue);
        TestContext.Current.TestOutputHelper?.WriteLine($"{changes} changes\n{said}");
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    private CertificateFiles Certificate(string name)
    {
        var files = new CertificateFiles(Path.Combine(directory, name + ".pem"), Path.Combine(directory, name + ".key"));
        NginxFarm.Run($"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN={name} -addext subjectAltName=DNS:{name} -keyout {files.Key} -out {files.Certificate}");
        return files;
    }

    private static RouteTable Table(NginxFarm farm, PublicEndpoint listen, int version, TlsSpec tls) => new(version,
    [
        new Route
        {
            Service = "web", Vip = "front", Listen = listen, Protocol = PublishProtocol.Http, Balance = BalancePolicy.TwoChoices, Health = null,
            Door = new DoorSpec { Http = new HttpDoorSpec { Tls = tls } }, Destinations = [.. Enumerable.Range(1, farm.Count).Select(farm.Destination)],
        },
    ]);

    private static async Task<string> SayAsync(string words)
    {
        using var client = Process.Start(new ProcessStartInfo("openssl", words.Split(' ')) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        client.StandardInput.Close();
        var errors = client.StandardError.ReadToEndAsync();
        var output = await client.StandardOutput.ReadToEndAsync();
        await client.WaitForExitAsync();
        return output + await errors;
    }
}
