using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>What a cluster file says of doors.</summary>
public sealed class DoorFileTests
{
    private const string Door = "publish: [{ vip: front, port: 80, protocol: http, balance: two-choices }]";
    private const string Jobs = "process: { command: [./jobs] }";

    [Fact]
    public void Parse_HttpDoor_ReadsWhatItAsksFor()
    {
        var door = Assert.Single(Examples.Spec(Examples.Spoil(Door, """
            publish:
                  vip: front
                  port: 80
                  protocol: http
                  hosts: [shop.example, "*.shop.example"]
                  paths: /api
                  headers: { X-Release: canary }
                  weights: { n1: 10 }
                  sticky: { cookie: seat, for: 2h }
                  access_log: { file: /var/log/web.log, format: json }
                  accept_proxy_from: 10.0.0.0/8
                  trust_forwarded_from: 10.1.0.0/16
            """)).Services["web"].Publish).Door;
        Assert.Equal(["shop.example", "*.shop.example"], door.Http.Hosts);
        Assert.Equal(["/api"], door.Http.Paths);
        Assert.Equal("canary", door.Http.Headers["X-Release"]);
        Assert.Equal(new StickySpec("seat", TimeSpan.FromHours(2)), door.Http.Sticky);
        Assert.Equal(new AccessLogSpec("/var/log/web.log", AccessLogFormat.Json), door.Http.AccessLog);
        Assert.Single(door.AcceptProxyFrom);
        Assert.Equal("10.1.0.0/16", Assert.Single(door.Http.TrustForwardedFrom).ToString());
        Assert.Equal(10, door.Weights[new NodeName("n1")]);
    }

    [Fact]
    public void Parse_LimitsOfRequests_AreRead()
    {
        var http = Assert.Single(Examples.Spec(Examples.Spoil(Door, """
            publish:
                  vip: front
                  port: 80
                  protocol: http
                  limits: { body: 10MiB, head: 16KiB, head_time: 5s }
                  maintenance_page: /etc/evenkeel/sorry.html
            """)).Services["web"].Publish).Door.Http;
        Assert.Equal((10 << 20, 16 << 10, TimeSpan.FromSeconds(5), "/etc/evenkeel/sorry.html"), (http.MaxBodyBytes, http.MaxHeadBytes, http.HeadTime, http.MaintenancePage));
    }

    [Theory]
    [InlineData("protocol: http, limits: { head: 100B }", "limits.head: 100B is not between 1KiB and 512KiB")]
    [InlineData("protocol: http, limits: { head: 8GiB }", "limits.head: 2GiB is not between 1KiB and 512KiB")]
    [InlineData("protocol: tcp, limits: { body: 1MiB }", "limits.body: this version knows it for 'protocol: http' only")]
    [InlineData("protocol: tcp, maintenance_page: /a", "maintenance_page: this version knows it for 'protocol: http' only")]
    public void Parse_LimitsThatMakeNoSense_AreRefused(string door, string problem) =>
        Assert.Contains("services.web.publish[0]." + problem, ClusterFile.Parse(Examples.Spoil(Door, $"publish: [{{ vip: front, port: 80, {door} }}]")).Diagnostics.Select(found => $"{found.Path}: {found.Message}"));

    [Fact]
    public void Parse_Checks_AreRead()
    {
        const string check = "health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }";
        var http = Examples.Spec(Examples.Spoil(check, "health: { http: /healthz, status: 200-204, contains: ready, host: shop.example }")).Services["web"].Health!;
        Assert.Equal((ProbeKind.Http, 200, 204, "ready", "shop.example"), (http.Kind, http.LeastStatus, http.GreatestStatus, http.Contains, http.Host));
        var one = Examples.Spec(Examples.Spoil(check, "health: { http: /healthz, status: 204 }")).Services["web"].Health!;
        Assert.Equal((204, 204), (one.LeastStatus, one.GreatestStatus));
        var tls = Examples.Spec(Examples.Spoil(check, "health: { tls: true, host: db.example }")).Services["web"].Health!;
        Assert.Equal((ProbeKind.Tls, "db.example"), (tls.Kind, tls.Host));
    }

    [Theory]
    [InlineData("tcp: true, contains: ready", "health: only 'http' looks at 'status' and 'contains'")]
    [InlineData("tcp: true, host: a.example", "health.host: only 'http' and 'tls' ask for it")]
    [InlineData("http: /, status: 300-200", "health.status: the first status is above the second")]
    [InlineData("http: /, status: fine", "health.status: a status such as 200, or two with a dash such as 200-299 expected, 'fine' found")]
    public void Parse_ChecksThatMakeNoSense_AreRefused(string health, string problem) =>
        Assert.Contains("services.web." + problem, ClusterFile.Parse(Examples.Spoil("health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }", $"health: {{ {health} }}")).Diagnostics.Select(found => $"{found.Path}: {found.Message}"));

    [Fact]
    public void Parse_VipWithAHook_IsRead_AndALoopbackClusterHasNone()
    {
        var spec = Examples.Spec(Examples.Spoil("vips: { front: 203.0.113.10 }", "vips: { front: { address: 203.0.113.10, hook: { command: [/etc/hook, a], time_limit: 5s } } }"));
        var hook = spec.Vips["front"].Hook!;
        Assert.Equal(["/etc/hook", "a"], hook.Command);
        Assert.Equal((TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(30)), (hook.TimeLimit, hook.Every));
        Assert.True(LocalMapping.TryMap(spec, "/srv/shop", out var map, out var problem), problem);
        Assert.Null(map.Spec.Vips["front"].Hook);
    }

    [Fact]
    public void Parse_TcpDoor_IsTaken() =>
        Assert.Equal(PublishProtocol.Tcp, Assert.Single(Examples.Spec(Examples.Spoil("protocol: http", "protocol: tcp")).Services["web"].Publish).Protocol);

    [Theory]
    [InlineData("protocol: http, paths: [/jobs]", "")]
    [InlineData("protocol: http, hosts: jobs.example", "")]
    [InlineData("protocol: http, headers: { x-jobs: \"*\" }", "")]
    [InlineData("protocol: http", "services.jobs.publish[0].port: port 80 of 'front' is already published by 'web'")]
    [InlineData("protocol: http, paths: [/]", "services.jobs.publish[0].port: port 80 of 'front' is already published by 'web'")]
    [InlineData("protocol: tcp, sni: [jobs.example]", "services.jobs.publish[0].protocol: port 80 of 'front' is published by 'web' with another protocol")]
    public void Parse_SecondServiceOnAPort_MustBeToldApart(string second, string problem)
    {
        var text = Examples.Spoil(Jobs, $"{Jobs}\n    port: 5001\n    publish: {{ vip: front, port: 80, {second} }}");
        Assert.Equal(problem, string.Join('\n', ClusterFile.Parse(text).Diagnostics.Where(found => found.Severity == Severity.Error).Select(found => $"{found.Path}: {found.Message}")));
    }

    [Theory]
    [InlineData("protocol: tcp, trust_forwarded_from: 10.0.0.0/8", "trust_forwarded_from", "http")]
    [InlineData("protocol: tcp, hosts: [a.example]", "hosts", "http")]
    [InlineData("protocol: tcp, paths: [/a]", "paths", "http")]
    [InlineData("protocol: tcp, headers: { a: b }", "headers", "http")]
    [InlineData("protocol: tcp, tls: { certificates: { certificate: /a, key: /b } }", "tls", "http")]
    [InlineData("protocol: tcp, sticky: { cookie: a }", "sticky", "http")]
    [InlineData("protocol: tcp, access_log: { file: /a }", "access_log", "http")]
    [InlineData("protocol: http, sni: [a.example]", "sni", "tcp")]
    [InlineData("protocol: http, send_proxy: v2", "send_proxy", "tcp")]
    [InlineData("protocol: tcp, limits: { requests: 7 }", "limits.requests", "http")]
    [InlineData("protocol: tcp, outliers: false", "outliers", "http")]
    [InlineData("protocol: tcp, hash_of: a", "hash_of", "http")]
    public void Parse_KeyOfTheOtherProtocol_IsRefused(string door, string key, string protocol)
    {
        var found = Assert.Single(ClusterFile.Parse(Examples.Spoil("protocol: http", door)).Diagnostics, found => found.Severity == Severity.Error);
        Assert.Equal(($"services.web.publish[0].{key}", $"this version knows it for 'protocol: {protocol}' only"), (found.Path, found.Message));
    }

    [Theory]
    [InlineData("balance: header-hash, hash_of: X-Tenant", "")]
    [InlineData("balance: cookie-hash, hash_of: session, limits: { per_instance: 10, requests: 100, waiting: 5, wait: 1s }, outliers: false", "")]
    [InlineData("balance: header-hash", "services.web.publish[0].balance: nothing says which header or cookie to go by")]
    [InlineData("hash_of: X-Tenant", "services.web.publish[0].hash_of: nothing is hashed by it")]
    [InlineData("weights: { n1: 50 } }, { vip: front, port: 81, protocol: http, weights: { n1: 50, n2: 100 }", "")]
    [InlineData("weights: { n1: 50 } }, { vip: front, port: 81, protocol: tcp", "")]
    [InlineData("weights: { n1: 50 } }, { vip: front, port: 81, protocol: http", "services.web.publish[1].weights: another entry of this service (port 80 of 'front') weighs its nodes otherwise")]
    public void Parse_DoorThatContradictsItself_IsRefused(string more, string problem) => Assert.Equal(problem, string.Join('\n',
        ClusterFile.Parse(Examples.Spoil("balance: two-choices", more)).Diagnostics.Where(found => found.Severity == Severity.Error).Select(found => $"{found.Path}: {found.Message}")));

    private const string Tls = "tls: { certificates: { certificate: /etc/a.pem, key: /etc/a.key }";

    [Fact]
    public void Parse_TlsDoor_ReadsAllOfIt()
    {
        var spec = Examples.Spec(Examples.Spoil("port: 80, protocol: http", $"port: 443, protocol: http, {Tls}, least: 1.3, http2: false, hsts: 52w, redirect_from: 80, client_ca: /etc/ca.pem }}"));
        var door = Assert.Single(spec.Services["web"].Publish);
        var tls = door.Door.Http.Tls!;
        Assert.Equal(new CertificateFiles("/etc/a.pem", "/etc/a.key"), Assert.Single(tls.Certificates));
        Assert.Equal((true, false, TimeSpan.FromDays(364), 80, "/etc/ca.pem"), (tls.Only13, tls.Http2, tls.Hsts!.Value, tls.RedirectFrom!.Value, tls.ClientAuthorities));
        Assert.Equal([443, 80], door.Ports);
    }

    [Theory]
    [InlineData("port: 443, protocol: http, hosts: a.example, TLS, least: 1.3 }", "services.jobs.publish[0].tls: port 443 of 'front' is published by 'web' with other 'least', 'http2' or 'client_ca'")]
    [InlineData("port: 443, protocol: http, hosts: a.example", "services.jobs.publish[0].tls: port 443 of 'front' is published by 'web' with TLS")]
    [InlineData("port: 443, protocol: http, hosts: a.example, TLS }", "")]
    [InlineData("port: 8443, protocol: http, TLS, redirect_from: 443 }", "services.jobs.publish[0].tls.redirect_from: port 443 of 'front' is published by 'web' with TLS")]
    [InlineData("port: 8443, protocol: http, TLS, redirect_from: 80 }", "services.jobs.publish[0].tls.redirect_from: port 80 of 'front' is already published by 'web'")]
    [InlineData("port: 80, protocol: http, hosts: a.example", "")]
    public void Parse_SecondEntryAtATlsPort_MustAgree(string second, string problem)
    {
        var text = Examples.Spoil("port: 80, protocol: http", $"port: 443, protocol: http, {Tls}, redirect_from: 80 }}")
            .Replace(Jobs, $"{Jobs}\n    port: 5001\n    publish: {{ vip: front, {second.Replace("TLS", Tls, StringComparison.Ordinal)} }}", StringComparison.Ordinal);
        Assert.Equal(problem, string.Join('\n', ClusterFile.Parse(text).Diagnostics.Where(found => found.Severity == Severity.Error).Select(found => $"{found.Path}: {found.Message}")));
    }

    [Fact]
    public void Map_EntriesThatShareAPort_GoOnSharingIt()
    {
        var text = Examples.Spoil("port: 80, protocol: http", $"port: 443, protocol: http, {Tls}, redirect_from: 80 }}")
            .Replace(Jobs, $"{Jobs}\n    port: 5001\n    publish: {{ vip: front, port: 443, protocol: http, hosts: a.example, {Tls} }} }}", StringComparison.Ordinal);
        Assert.True(LocalMapping.TryMap(Examples.Spec(text), "/", out var map, out _));
        Assert.Equal([8443, 8080], map.Spec.Services["web"].Publish[0].Ports);
        Assert.Equal([8443], map.Spec.Services["jobs"].Publish[0].Ports);
    }

    [Fact]
    public void Diff_SecondEntryOfAPortChanges_IsNamed()
    {
        string With(string path) => Examples.Spoil(Door, Door.TrimEnd(']') + $", {{ vip: front, port: 80, protocol: http, paths: [{path}] }}]");
        var change = Assert.Single(SpecDiff.Between(Examples.Spec(With("/a")), Examples.Spec(With("/b"))));
        Assert.Equal("services.web.publish[front:80 (2)].paths", change.Path);
    }
}
