using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Configuration;

/// <summary>Services by OCF agents and systemd units, and fencing, as the file says them.</summary>
public sealed class DriverFileTests
{
    private const string File = """
        version: 1
        cluster: shop
        networks: { private: [10.10.0.0/24] }
        nodes:
          n1: { private: [10.10.0.11], fence: { agent: fence_ipmilan, ip: 10.20.0.11, password_file: /etc/evenkeel/n1, delay: 5s } }
          n2: { private: [10.10.0.12], fence: [{ agent: fence_ipmilan, ip: 10.20.0.12 }, { agent: fence_apc, plug: 7, time_limit: 2m }] }
          n3: { private: [10.10.0.13], role: witness }
        services:
          cache:
            ocf: { agent: "ocf:heartbeat:redis", parameters: { config: /etc/redis.conf, port: 6399 }, monitor: 500ms, nodes_by: address }
            redundancy: warm
          reports:
            systemd: { unit: reports.service, stop_timeout: 20s }
            redundancy: cold
        """;

    [Fact]
    public void Parse_Services_ReadsTheirDrivers()
    {
        var spec = Examples.Spec(File);
        var redis = Assert.IsType<OcfDriverSpec>(spec.Services["cache"].Driver);
        Assert.Equal(("heartbeat:redis", "6399", true), (redis.Agent, redis.Parameters["port"], redis.NodesByAddress));
        Assert.Equal((TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(20)), (redis.MonitorEvery, redis.MonitorTimeout));
        var reports = Assert.IsType<SystemdDriverSpec>(spec.Services["reports"].Driver);
        Assert.Equal(("reports.service", TimeSpan.FromSeconds(20)), (reports.Unit, reports.StopTimeout));
    }

    [Fact]
    public void Parse_Fence_ReadsOneDeviceOrLevels()
    {
        var spec = Examples.Spec(File);
        var one = spec.Nodes[new NodeName("n1")].Fence!;
        Assert.Equal((TimeSpan.FromSeconds(5), 0, 2), (one.Delay, one.Then.Count, one.Parameters.Count));
        var levels = spec.Nodes[new NodeName("n2")].Fence!;
        var second = Assert.Single(levels.Then);
        Assert.Equal(("fence_ipmilan", "fence_apc", "7", TimeSpan.FromMinutes(2)), (levels.Agent, second.Agent, second.Parameters["plug"], second.TimeLimit));
    }

    [Theory]
    [InlineData("redundancy: cold", "redundancy: warm", "services.reports.systemd", "no roles")]
    [InlineData("agent: \"ocf:heartbeat:redis\"", "agent: redis", "services.cache.ocf.agent", "PROVIDER:TYPE")]
    [InlineData("unit: reports.service", "unit: reports", "services.reports.systemd.unit", "unit's name")]
    public void Parse_Nonsense_IsAnError(string part, string by, string path, string text)
    {
        var found = ClusterFile.Parse(File.Replace(part, by, StringComparison.Ordinal)).Diagnostics.Where(one => one.Severity == Severity.Error).ToList();
        Assert.Contains(found, one => one.Path == path && one.Message.Contains(text, StringComparison.Ordinal));
    }

    [Fact]
    public void Parse_WithoutFencing_RefusesWhatALeaseCannotEnd_UnlessToldThatItMayRunTwice()
    {
        var without = File.Replace(", fence: { agent: fence_ipmilan, ip: 10.20.0.11, password_file: /etc/evenkeel/n1, delay: 5s }", "", StringComparison.Ordinal);
        Assert.Equal((Requirement.Fencing, Requirement.Quorum), (Examples.Spec(File).Services["reports"].Requires, Examples.Spec(File).Services["cache"].Requires));
        var refused = Assert.Single(ClusterFile.Parse(without).Diagnostics, one => one.Severity == Severity.Error);
        Assert.Contains("n1 cannot be cut off", refused.Message, StringComparison.Ordinal);
        var told = ClusterFile.Parse(without.Replace("redundancy: cold", "redundancy: cold\n    requires: quorum", StringComparison.Ordinal));
        Assert.Contains(told.Diagnostics, one => one is { Path: "services.reports.requires", Severity: Severity.Warning });
        Assert.Equal(Requirement.Quorum, told.Spec!.Services["reports"].Requires);
    }

    [Fact]
    public void Diff_OfADriver_SaysWhatItDoes_AndHidesSecrets()
    {
        var before = Examples.Spec(File);
        var after = Examples.Spec(File.Replace("port: 6399", "port: 6400, requirepass: hidden", StringComparison.Ordinal).Replace("monitor: 500ms", "monitor: 2s", StringComparison.Ordinal));
        var changes = SpecDiff.Between(before, after);
        Assert.Equal(["services.cache.ocf.monitor", "services.cache.ocf.parameters.port", "services.cache.ocf.parameters.requirepass"], changes.Select(change => change.Path));
        Assert.Equal([ChangeEffect.None, ChangeEffect.Restarts, ChangeEffect.Restarts], changes.Select(change => change.Effect));
        Assert.DoesNotContain(changes, change => change.After?.Contains("hidden", StringComparison.Ordinal) == true);
    }
}
