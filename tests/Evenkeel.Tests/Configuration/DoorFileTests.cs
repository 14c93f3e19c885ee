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
            """)).Services["web"].Publish).Door;
        Assert.Equal(["shop.example", "*.shop.example"], door.Http.Hosts);
        Assert.Equal(["/api"], door.Http.Paths);
        Assert.Equal("canary", door.Http.Headers["X-Release"]);
        Assert.Equal(10, door.Weights[new NodeName("n1")]);
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
    [InlineData("protocol: tcp, hosts: [a.example]", "hosts", "http")]
    [InlineData("protocol: tcp, paths: [/a]", "paths", "http")]
    [InlineData("protocol: tcp, headers: { a: b }", "headers", "http")]
    [InlineData("protocol: http, sni: [a.example]", "sni", "tcp")]
    [InlineData("protocol: http, send_proxy: v2", "send_proxy", "tcp")]
    [InlineData("protocol: http, limits: { wait: 7s }", "limits.wait", "tcp")]
    public void Parse_KeyOfTheOtherProtocol_IsRefused(string door, string key, string protocol)
    {
        var found = Assert.Single(ClusterFile.Parse(Examples.Spoil("protocol: http", door)).Diagnostics, found => found.Severity == Severity.Error);
        Assert.Equal(($"services.web.publish[0].{key}", $"this version knows it for 'protocol: {protocol}' only"), (found.Path, found.Message));
    }

    [Fact]
    public void Diff_SecondEntryOfAPortChanges_IsNamed()
    {
        string With(string path) => Examples.Spoil(Door, Door.TrimEnd(']') + $", {{ vip: front, port: 80, protocol: http, paths: [{path}] }}]");
        var change = Assert.Single(SpecDiff.Between(Examples.Spec(With("/a")), Examples.Spec(With("/b"))));
        Assert.Equal("services.web.publish[front:80 (2)].paths", change.Path);
    }
}
