using System.Globalization;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>An agent with two roles over one process whose actions fail as they are told: what the driver makes of that.</summary>
[Collection("namespaces")]
[Trait("needs", "root")]
[Trait("Machine", "shared"), Trait("Turn", "3")]
public sealed class FailingAgentTests : IDisposable
{
    private const string Agent = """
        #!/bin/sh
        d=$OCF_RESKEY_dir
        if [ "$1" = meta-data ]; then cat <<X
        <?xml version="1.0"?>
        <resource-agent name="thing" version="1.0"><version>1.1</version>
        <parameters><parameter name="dir" required="1"><content type="string"/></parameter></parameters>
        <actions><action name="start" timeout="20s"/><action name="stop" timeout="20s"/><action name="monitor" timeout="20s" interval="10s"/>
        <action name="promote" timeout="20s"/><action name="demote" timeout="20s"/></actions>
        </resource-agent>
        X
        exit 0
        fi
        if [ -f "$d/$1" ]; then echo "ocf-exit-reason:told so" >&2; exit "$(cat "$d/$1")"; fi
        runs() { [ -f "$d/pid" ] && [ -n "$(ps -o stat= -p "$(cat "$d/pid")" | grep -v Z)" ]; }
        case $1 in
        start) sleep 3600 >/dev/null 2>&1 & echo $! >"$d/pid"; echo slave >"$d/role" ;;
        stop) if runs; then kill "$(cat "$d/pid")"; fi; rm -f "$d/pid" ;;
        promote) echo master >"$d/role" ;;
        demote) echo slave >"$d/role" ;;
        monitor) runs || exit 7; [ "$(cat "$d/role")" = master ] && exit 8; exit 0 ;;
        esac
        exit 0
        """;

    private readonly string _root = Directory.CreateTempSubdirectory("ek-agents-").FullName;

    public FailingAgentTests()
    {
        var path = Path.Combine(Directory.CreateDirectory(Path.Combine(_root, "resource.d", "test")).FullName, "Thing");
        File.WriteAllText(path, Agent + "\n");
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    [Fact]
    public async Task Demote_ThatFails_IsStopped()
    {
        await using var node = await PromotedAsync();
        Tell(node, "demote", 1);
        var demoted = await node.Driver.DemoteAsync("svc", OcfNode.Token);
        Assert.True(demoted.Succeeded, demoted.Reason + node.Log());
        Assert.Equal((InstanceStatus.Stopped, null), (node.Facts.Status, node.Facts.Epoch));
    }

    [Fact]
    public async Task Demote_AndStop_ThatFail_AreStuckUntilAStopSucceeds()
    {
        await using var node = await PromotedAsync();
        Tell(node, "demote", 1);
        Tell(node, "stop", 1);
        Tell(node, "monitor", 8);
        var demoted = await node.Driver.DemoteAsync("svc", OcfNode.Token);
        Assert.Equal((false, InstanceStatus.Stuck), (demoted.Succeeded, node.Facts.Status));
        Assert.Contains("demote: generic error: told so; then stop: generic error: told so", demoted.Reason, StringComparison.Ordinal);
        Assert.False((await node.Driver.StopAsync("svc", OcfNode.Token)).Succeeded);
        Assert.Equal(InstanceStatus.Stuck, node.Facts.Status);
        File.Delete(Path.Combine(node.Directory, "stop"));
        await node.StopAsync();
    }

    /// <summary>Its processes were killed, and those are all that it has.</summary>
    [Fact]
    public async Task Stop_ThatFails_OfWhatTheAgentThenSaysDoesNotRun_HasStopped()
    {
        await using var node = await PromotedAsync();
        Tell(node, "stop", 1);
        await node.StopAsync();
    }

    [Theory, InlineData(5, Ban.Here), InlineData(6, Ban.Everywhere), InlineData(1, Ban.None)]
    public async Task Start_ThatFails_SaysWhetherAnotherTryMakesSense(int code, Ban ban)
    {
        await using var node = new OcfNode(root: _root);
        Tell(node, "start", code);
        var started = await node.Driver.StartAsync(node.Order("test:Thing", new() { ["dir"] = node.Directory }), OcfNode.Token);
        Assert.Equal((false, ban, InstanceStatus.Failed), (started.Succeeded, started.Ban, node.Facts.Status));
        Assert.Contains("told so", started.Reason, StringComparison.Ordinal);
    }

    /// <summary>It never gives a score.</summary>
    private async Task<OcfNode> PromotedAsync()
    {
        var node = new OcfNode(root: _root);
        await node.StartAsync(node.Order("test:Thing", new() { ["dir"] = node.Directory }, Redundancy.Warm, change: driver => driver with { MonitorEvery = TimeSpan.FromMinutes(1) }));
        Assert.Equal(InstanceFacts.NoPromotionScore, node.Facts.PromotionScore);
        var promoted = await node.Driver.PromoteAsync("svc", new Epoch(1, 1), OcfNode.Token);
        Assert.True(promoted.Succeeded, promoted.Reason + node.Log());
        return node;
    }

    private static void Tell(OcfNode node, string action, int code) => File.WriteAllText(Path.Combine(node.Directory, action), code.ToString(CultureInfo.InvariantCulture));
}
