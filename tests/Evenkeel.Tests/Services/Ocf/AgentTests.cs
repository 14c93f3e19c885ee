using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf;
using Evenkeel.Services.Ocf.Agents;
using Xunit;
using Health = Evenkeel.Core.Model.Health;

namespace Evenkeel.Tests.Services.Ocf;

public sealed class AgentTests
{
    private const string Description = """
        <?xml version="1.0"?>
        <!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
        <resource-agent name="thing" version="1.0"><version>1.1</version>
        <parameters>
          <parameter name="config" required="1"><shortdesc lang="en">File</shortdesc><content type="string"/></parameter>
          <parameter name="port" required="0"><content type="integer" default="80"/></parameter>
        </parameters>
        <actions><action name="start" timeout="20s"/><action name="stop" timeout="1m"/>
          <action name="monitor" timeout="5" interval="10s" role="Promoted"/><action name="monitor" timeout="6" interval="11s" role="Unpromoted"/>
          <action name="promote" timeout="500ms"/><action name="demote"/></actions>
        </resource-agent>
        """;

    private static readonly ResourceContext s_resource = new()
    {
        Service = "svc", Agent = new AgentName("heartbeat", "thing"), Node = "n1", Parameters = new Dictionary<string, string> { ["config"] = "/c" }, Promotable = true, Copies = 2, Notify = true,
    };

    [Fact]
    public void Metadata_Read_KnowsParametersActionsAndRoles()
    {
        var metadata = AgentMetadata.Parse(Description);
        Assert.True(metadata.IsPromotable);
        Assert.False(metadata.Has("notify"));
        Assert.Equal(TimeSpan.FromMinutes(1), metadata.Actions["stop"]);
        Assert.Equal(TimeSpan.FromMilliseconds(500), metadata.Actions["promote"]);
        Assert.Equal("80", metadata.Parameters["port"].Default);
        Assert.Equal(["it requires the parameter 'config'", "it has no parameter 'colour'"], metadata.Objections(new Dictionary<string, string> { ["colour"] = "red" }));
        Assert.Throws<InvalidDataException>(() => AgentMetadata.Parse("<html/>"));
        Assert.Throws<InvalidDataException>(() => AgentMetadata.Parse("usage: thing {start|stop}"));
    }

    [Theory]
    [InlineData("heartbeat:redis", "/usr/lib/ocf/resource.d/heartbeat/redis")]
    [InlineData("ocf:heartbeat:redis", "/usr/lib/ocf/resource.d/heartbeat/redis")]
    [InlineData("redis", null)]
    [InlineData("..:redis", null)]
    [InlineData("heartbeat:../../../bin/sh", null)]
    public void Name_Read_IsAFileUnderTheRoot(string text, string? path) => Assert.Equal(path, AgentName.Parse(text)?.PathUnder(AgentName.StandardRoot));

    [Fact]
    public void Environment_OfARecurringMonitor_IsThatOfThePacemakerApi()
    {
        var environment = new ActionEnvironment("/usr/lib/ocf", "/tools", "/scratch", "/socket").For(s_resource, "monitor", TimeSpan.FromSeconds(20), TimeSpan.FromSeconds(1));
        Assert.Equal("/c", environment["OCF_RESKEY_config"]);
        Assert.Equal("1000", environment["OCF_RESKEY_CRM_meta_interval"]);
        Assert.Equal("20000", environment["OCF_RESKEY_CRM_meta_timeout"]);
        Assert.Equal("Unpromoted", environment["OCF_RESKEY_CRM_meta_role"]);
        Assert.Equal(("svc", "thing", "heartbeat"), (environment["OCF_RESOURCE_INSTANCE"], environment["OCF_RESOURCE_TYPE"], environment["OCF_RESOURCE_PROVIDER"]));
        Assert.StartsWith("/tools:", environment["PATH"], StringComparison.Ordinal);
        Assert.Equal(("/tools", "/scratch"), (environment["HA_SBIN_DIR"], environment["HA_RSCTMP"]));
        Assert.Equal(("2", "1", "n1"), (environment["OCF_RESKEY_CRM_meta_clone_max"], environment["OCF_RESKEY_CRM_meta_master_max"], environment["OCF_RESKEY_CRM_meta_on_node"]));
    }

    [Fact]
    public void Environment_OfAnOrdinaryResource_HasNoClones()
    {
        var environment = new ActionEnvironment("/usr/lib/ocf", "/t", "/s", "/x").For(s_resource with { Promotable = false, Copies = 0 }, "start", TimeSpan.FromSeconds(1), TimeSpan.Zero);
        Assert.Equal("0", environment["OCF_RESKEY_CRM_meta_interval"]);
        Assert.DoesNotContain(environment.Keys, name => name.Contains("clone", StringComparison.Ordinal) || name.Contains("master", StringComparison.Ordinal));
    }

    [Fact]
    public void Notification_TellsWhoIsPromotedAndWhatChanges()
    {
        var variables = NotifyVariables.For(s_resource with { PromotedNode = "n2", OtherNodes = ["n2", "n3"] }, "post", "promote", "n2").ToDictionary(StringComparer.Ordinal);
        Assert.Equal(("post", "promote"), (variables["OCF_RESKEY_CRM_meta_notify_type"], variables["OCF_RESKEY_CRM_meta_notify_operation"]));
        Assert.Equal(("n2", "n2", "n1 n3"), (variables["OCF_RESKEY_CRM_meta_notify_promote_uname"], variables["OCF_RESKEY_CRM_meta_notify_master_uname"], variables["OCF_RESKEY_CRM_meta_notify_slave_uname"]));
    }

    [Fact]
    public void Outcome_NamesTheCodeAndTheLastReason()
    {
        var ended = new ActionEnded(1, 6, false, "", "ERROR: noise\nocf-exit-reason:first\nocf-exit-reason:no such file /c\n", null);
        Assert.Equal("start: misconfigured (exit code 6): it would fail on every node: no such file /c", ActionOutcome.Of("start", ended, TimeSpan.FromSeconds(1)).Text);
        Assert.Equal("start: generic error: not done within 1 s, and killed", ActionOutcome.Of("start", ended with { TimedOut = true }, TimeSpan.FromSeconds(1)).Text);
    }

    [Theory]
    [InlineData(0, false, MonitorStep.Nothing, Health.Healthy)]
    [InlineData(8, true, MonitorStep.Nothing, Health.Healthy)]
    [InlineData(190, false, MonitorStep.Nothing, Health.Healthy)]
    [InlineData(191, true, MonitorStep.Nothing, Health.Healthy)]
    [InlineData(0, true, MonitorStep.NoteDemotion, Health.Healthy)]
    [InlineData(8, false, MonitorStep.Demote, Health.Unhealthy)]
    [InlineData(7, false, MonitorStep.Recover, Health.Unhealthy)]
    [InlineData(9, true, MonitorStep.Recover, Health.Unhealthy)]
    [InlineData(5, false, MonitorStep.Recover, Health.Unhealthy)]
    [InlineData(1, false, MonitorStep.Nothing, Health.Unhealthy)]
    public void Monitor_Code_MeansForTheRole(int code, bool promoted, object step, Health health)
    {
        var verdict = new MonitorVerdicts().Of(new ActionOutcome("monitor", code, ""), s_resource with { Promoted = promoted });
        Assert.Equal(((MonitorStep)step, health), (verdict.Step, verdict.Health));
    }

    [Fact]
    public void Monitor_ThatFailsThreeTimesInARow_Restarts()
    {
        var verdicts = new MonitorVerdicts();
        var failed = new ActionOutcome("monitor", 1, "");
        verdicts.Of(failed, s_resource);
        verdicts.Of(new ActionOutcome("monitor", 0, ""), s_resource);
        Assert.Equal([MonitorStep.Nothing, MonitorStep.Nothing, MonitorStep.Recover], Enumerable.Range(0, 3).Select(_ => verdicts.Of(failed, s_resource).Step));
    }

    [Theory, InlineData("10", 10), InlineData("-INFINITY", -1_000_000), InlineData("INFINITY", 1_000_000), InlineData("2000000", 1_000_000), InlineData(null, -1), InlineData("much", -1)]
    public void Score_IsReadAsPacemakerReadsIt(string? text, int score) => Assert.Equal(score, ResourceSteps.Score(text));

    [Theory, InlineData(1, Core.Model.Ban.None), InlineData(2, Core.Model.Ban.Here), InlineData(4, Core.Model.Ban.Here), InlineData(5, Core.Model.Ban.Here), InlineData(6, Core.Model.Ban.Everywhere), InlineData(7, Core.Model.Ban.None)]
    public void Failure_ThatAnotherTryDoesNotMend_SaysWhere(int code, Core.Model.Ban ban) => Assert.Equal(ban, new ActionOutcome("start", code, "").Failure.Ban);
}
