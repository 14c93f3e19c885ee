using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>Receivers of alerts, as the file says them.</summary>
public sealed class AlertFileTests
{
    private const string File = """
        version: 1
        cluster: shop
        networks: { private: [10.10.0.0/24] }
        nodes:
          n1: { private: [10.10.0.11] }
        alerts:
          pager: { webhook: "https://pager.example.org/hook", secret_file: pager.secret, headers: { X-Team: ops }, from: down, after: 0, repeat: 4h, time_limit: 3s }
          mail: { command: [./mail, admins], resolved: false }
        """;

    [Fact]
    public void Parse_ReadsReceivers()
    {
        var alerts = Examples.Spec(File).Alerts;
        var pager = alerts.Single(alert => alert.Name == "pager");
        Assert.Equal((new Uri("https://pager.example.org/hook"), "pager.secret", "ops", Concern.Down), (pager.Webhook, pager.SecretFile, pager.Headers["X-Team"], pager.From));
        Assert.Equal((TimeSpan.Zero, TimeSpan.FromHours(4), TimeSpan.FromSeconds(3)), (pager.After, pager.Repeat, pager.TimeLimit));
        var mail = alerts.Single(alert => alert.Name == "mail");
        Assert.Equal((null, false, Concern.Degraded, TimeSpan.FromSeconds(5)), (mail.Webhook, mail.Resolved, mail.From, mail.After));
    }

    [Fact]
    public void In_RelativePathsBeginAtTheFile()
    {
        var located = SpecLocation.In(Examples.Spec(File), "/etc/evenkeel").Alerts;
        Assert.Equal("/etc/evenkeel/pager.secret", located.Single(alert => alert.Name == "pager").SecretFile);
        Assert.Equal(["/etc/evenkeel/mail", "admins"], located.Single(alert => alert.Name == "mail").Command!);
    }

    [Theory]
    [InlineData("mail: { command: [./mail, admins], resolved: false }", "mail: { command: mail, secret_file: x }", "this is a command")]
    [InlineData("https://pager", "https://me:secret@pager", "a password in a URL")]
    [InlineData("mail: { command: [./mail, admins], resolved: false }", "mail: { from: down }", "webhook")]
    [InlineData("from: down", "from: loud", "down")]
    public void Parse_WhatMakesNoSense_IsSaid(string right, string wrong, string words)
    {
        var read = ClusterFile.Parse(File.Replace(right, wrong, StringComparison.Ordinal), "cluster.yaml");
        Assert.Null(read.Spec);
        Assert.Contains(read.Diagnostics, diagnostic => diagnostic.Path.StartsWith("alerts", StringComparison.Ordinal) && diagnostic.ToString().Contains(words, StringComparison.Ordinal));
    }

    [Fact]
    public void Flatten_ShowsEveryKey()
    {
        var before = Examples.Spec(File);
        foreach (var (right, other) in (ReadOnlySpan<(string, string)>)[("from: down", "from: note"), ("repeat: 4h", "repeat: 5h"), ("X-Team: ops", "X-Team: dev"), ("resolved: false", "resolved: true"), ("[./mail, admins]", "[./mail]")])
            Assert.Single(SpecDiff.Between(before, Examples.Spec(File.Replace(right, other, StringComparison.Ordinal))));
    }
}
