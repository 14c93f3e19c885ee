using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Cli;
using Evenkeel.Core.Model;
using Evenkeel.Tests.Configuration;
using Xunit;

namespace Evenkeel.Tests.Cli;

/// <summary>Commands that talk to a cluster, end to end: parser, client, unix socket, Kestrel, endpoints.</summary>
public sealed class ClusterCommandTests : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();
    private ControlHost _host = null!;

    public async ValueTask InitializeAsync() => _host = await ControlHost.StartAsync(_directory.Path);

    public async ValueTask DisposeAsync()
    {
        await _host.DisposeAsync();
        _directory.Dispose();
    }

    [Fact]
    public void Status_OfAHealthyCluster_SaysSoAndExitsZero()
    {
        var (code, output, _) = _host.Run("status");
        Assert.Equal(ExitCode.Success, code);
        Assert.StartsWith("shop: everything is all right", output, StringComparison.Ordinal);
        Assert.Contains("http://203.0.113.10:80", output, StringComparison.Ordinal);
        Assert.DoesNotContain('\u001b', output);
        Assert.True(output.Split('\n').Length <= 24, "status is one screen:\n" + output);
    }

    [Fact]
    public void Status_WithALostNode_SaysWhatToDoAndExitsOne()
    {
        var status = _host.Plane.Status;
        _host.Plane.Status = status with { Nodes = [.. status.Nodes.Select(node => node.Name.Value == "n2" ? node with { Reach = Reach.Lost, Silence = TimeSpan.FromSeconds(3) } : node)] };
        var (code, output, _) = _host.Run("status");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("node n2 is lost, silent for 3 s", output, StringComparison.Ordinal);
        Assert.Contains("do: Check its power", output, StringComparison.Ordinal);
        Assert.Contains("with the next loss virtual IPs and single-active services stop", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Status_AsJson_IsOneDocumentWithFindings()
    {
        _host.Plane.Status = _host.Plane.Status with { Controller = null };
        var (code, output, _) = _host.Run("status", "--output", "json");
        var document = JsonDocument.Parse(output).RootElement;
        Assert.Equal(ExitCode.Failed, code);
        Assert.False(document.GetProperty("allRight").GetBoolean());
        Assert.Equal("controller", document.GetProperty("findings")[0].GetProperty("subject").GetString());
        Assert.Equal("203.0.113.10", document.GetProperty("report").GetProperty("vips")[0].GetProperty("address").GetString());
    }

    [Fact]
    public void Restart_OfAService_AsksOneNodeAfterTheOther()
    {
        var (code, output, error) = _host.Run("restart", "web");
        Assert.True(code == ExitCode.Success, error);
        Assert.Equal(["restart web on n1", "restart web on n2"], _host.Plane.Told);
        Assert.Contains("web was restarted on n2", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Restart_OfPendingOnes_LeavesTheOthersAlone()
    {
        Assert.Contains("no instance waits for a restart", _host.Run("restart", "web", "--pending").Output, StringComparison.Ordinal);
        Assert.Empty(_host.Plane.Told);
        var status = _host.Plane.Status;
        _host.Plane.Status = status with { Services = [.. status.Services.Select(service => service with { Instances = [.. service.Instances.Select(one => one with { RestartPending = one.Node.Value == "n2" })] })] };
        Assert.Equal(ExitCode.Success, _host.Run("restart", "web", "--pending").Code);
        Assert.Equal(["restart web on n2"], _host.Plane.Told);
    }

    [Fact]
    public void Restart_OfNothing_IsAUsageErrorWithAdvice()
    {
        var (code, _, error) = _host.Run("restart", "wbe");
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("there is no service 'wbe'", error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Usage, _host.Run("restart", "web", "--node", "n9").Code);
    }

    [Fact]
    public void Apply_TheFirstFile_CommitsIt_AndAgainThereIsNothingToChange()
    {
        var file = _directory.Write("cluster.yaml", Examples.Web);
        var (code, output, error) = _host.Run("apply", file);
        Assert.True(code == ExitCode.Success, error);
        Assert.Contains("Applied as revision 1.", output, StringComparison.Ordinal);
        Assert.Equal("shop", _host.Plane.Spec!.Value.Value.Cluster);
        Assert.Contains("Nothing to change", _host.Run("plan", file).Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_OfAChange_SaysWhatItWillDo_AndChangesNothing()
    {
        _host.Plane.Spec = new Versioned<ClusterSpec>(Examples.Spec(Examples.Web), 7);
        var (code, output, _) = _host.Run("plan", _directory.Write("cluster.yaml", Examples.Spoil("[./jobs]", "[./jobs, --fast]")));
        Assert.Equal(ExitCode.Success, code);
        Assert.Contains("~ services.jobs.process.command: [./jobs] → [./jobs, --fast]", output, StringComparison.Ordinal);
        Assert.Contains("an outage as long as its stop and its start", output, StringComparison.Ordinal);
        Assert.Empty(_host.Plane.Told);
    }

    [Fact]
    public void Apply_OfARestart_WithNobodyToAsk_NeedsYes()
    {
        _host.Plane.Spec = new Versioned<ClusterSpec>(Examples.Spec(Examples.Web), 7);
        var file = _directory.Write("cluster.yaml", Examples.Spoil("[./jobs]", "[./jobs, --fast]"));
        var (code, _, error) = _host.Run("apply", file);
        Assert.Equal(ExitCode.Refused, code);
        Assert.Contains("--yes", error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Success, _host.Run("apply", file, "--yes").Code);
        Assert.Equal(8, _host.Plane.Spec.Value.Revision);
    }

    [Fact]
    public void Apply_OfAnotherClusterName_IsRefusedByTheCluster()
    {
        _host.Plane.Spec = new Versioned<ClusterSpec>(Examples.Spec(Examples.Web), 7);
        var (code, _, error) = _host.Run("apply", _directory.Write("cluster.yaml", Examples.Spoil("cluster: shop", "cluster: store")), "--yes");
        Assert.Equal(ExitCode.Refused, code);
        Assert.Contains("cluster cannot change from shop to store", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Plan_OfAFileWithErrors_ExitsThreeBeforeTheClusterIsAsked()
    {
        var file = _directory.Write("cluster.yaml", Examples.Spoil("redundancy: hot", "redundancy: hto"));
        var (code, _, error) = _host.Run("plan", file);
        Assert.Equal(ExitCode.Configuration, code);
        Assert.Contains($"{file}:12:17: error: services.web.redundancy", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Drain_AndResume_TellTheClusterModeAndReason()
    {
        Assert.Equal((ExitCode.Success, "n2 is draining\n"), _host.Run("drain", "n2", "--reason", "new disk") is var drained ? (drained.Code, drained.Output) : default);
        _host.Run("resume", "n2");
        Assert.Equal(["n2 Draining new disk", "n2 Active "], _host.Plane.Told);
    }

    [Fact]
    public void Fence_WithoutATerminal_NeedsYes_ThenWaitsForTheDevice()
    {
        var (code, _, error) = _host.Run("fence", "n2");
        Assert.Equal(ExitCode.Refused, code);
        Assert.Contains("this ends everything on n2", error, StringComparison.Ordinal);
        Assert.Empty(_host.Plane.Told);
        Assert.Equal((ExitCode.Success, "n2 is cut off: fence_dummy says so\n"), _host.Run("fence", "n2", "--yes") is var done ? (done.Code, done.Output) : default);
        _host.Run("fence", "n2", "--on");
        Assert.Equal(["fence n2 Off", "fence n2 On"], _host.Plane.Told);
        Assert.Equal(ExitCode.Usage, _host.Run("fence", "n2", "--on", "--cancel").Code);
    }

    [Fact]
    public void Drain_ThatTheClusterRefuses_ExitsFourWithItsWords()
    {
        var (code, output, error) = _host.Run("drain", "n1");
        Assert.Equal((ExitCode.Refused, ""), (code, output));
        Assert.Equal("evenkeel: n1 is the only node that can own front\n          Resume n2 first\n", error);
    }

    [Fact]
    public void Move_ByPlainName_FindsTheVirtualIp_AndAWrongNameIsUsage()
    {
        Assert.Equal(ExitCode.Success, _host.Run("move", "front", "n1", "--no-wait").Code);
        Assert.Equal(["vip/front to n1"], _host.Plane.Told);
        var (code, _, error) = _host.Run("move", "frnt", "n1");
        Assert.Equal(ExitCode.Usage, code);
        Assert.Contains("Did you mean 'front'?", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Move_WaitsUntilItActsThere()
    {
        var (before, n1) = (_host.Plane.Status, new NodeName("n1"));
        var vip = before.Vips[0];
        _host.Plane.AfterMove.Enqueue(before); // The wish has not been seen.
        _host.Plane.AfterMove.Enqueue(before with { Revision = 1, Vips = [vip with { MovesTo = n1 }] });
        _host.Plane.AfterMove.Enqueue(before with { Revision = 2, Vips = [vip with { MovesTo = n1, Owner = vip.Owner! with { Node = n1 }, Held = false }] });
        _host.Plane.AfterMove.Enqueue(before with { Revision = 3, Vips = [vip with { Owner = vip.Owner! with { Node = n1 }, Held = false }] });
        _host.Plane.AfterMove.Enqueue(before with { Revision = 3, Vips = [vip with { Owner = vip.Owner! with { Node = n1 } }] });
        var (code, output, _) = _host.Run("move", "front", "n1");
        Assert.Equal(ExitCode.Success, code);
        Assert.StartsWith("vip/front is on n1, after ", output, StringComparison.Ordinal);
        Assert.Empty(_host.Plane.AfterMove);
    }

    [Fact]
    public void Move_RefusedOnceItWasAskedFor_ExitsFourAndSaysWhy()
    {
        var before = _host.Plane.Status;
        _host.Plane.AfterMove.Enqueue(before with { Revision = 1, Services = [before.Services[0] with { MovesTo = new NodeName("n3") }] });
        _host.Plane.AfterMove.Enqueue(before with { Revision = 2 });
        var (code, output, error) = _host.Run("move", "web", "n3");
        Assert.Equal((ExitCode.Refused, ""), (code, output));
        Assert.Equal("evenkeel: n3 cannot have service/web now: it is a witness\n          evenkeel explain web; evenkeel status\n", error);
    }

    [Fact]
    public void Move_ThatTakesTooLong_FailsAndSaysThatItMayYetCome()
    {
        var before = _host.Plane.Status;
        _host.Plane.AfterMove.Enqueue(before with { Revision = 1, Vips = [before.Vips[0] with { MovesTo = new NodeName("n1") }] });
        var (code, _, error) = _host.Run("move", "front", "n1", "--timeout", "1");
        Assert.Equal(ExitCode.Failed, code);
        Assert.Contains("vip/front does not act on n1 after 1 s; it may yet come", error, StringComparison.Ordinal);
    }

    [Fact]
    public void Events_Followed_GoOnWithWhatHappensLater()
    {
        _host.Plane.MoreEvents.SetResult();
        var (code, output, _) = _host.Run("events", "--follow", "--after", "1", "--output", "json");
        Assert.Equal(ExitCode.Success, code);
        Assert.Equal([2, 3, 4], output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonDocument.Parse(line).RootElement.GetProperty("sequence").GetInt32()));
    }

    [Fact]
    public void Watch_WithoutATerminal_PrintsEvents()
    {
        _host.Plane.MoreEvents.SetResult();
        Assert.Contains("event 4", _host.Run("watch").Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Explain_SaysWhatSpokeAgainstANode() =>
        Assert.Contains("it is a witness", _host.Run("explain", "web").Output, StringComparison.Ordinal);

    [Fact]
    public void Logs_OfOneNode_AreItsLastLines()
    {
        var (_, output, _) = _host.Run("logs", "web", "--node", "n2", "-n", "2");
        Assert.Equal(2, output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
        Assert.EndsWith("n2 line 2\n", output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("logs")]
    [InlineData("explain")]
    public void AnUnknownService_IsUsage(string command) => Assert.Equal(ExitCode.Usage, _host.Run(command, "ghost").Code);

    [Fact]
    public void AnAgentThatIsGone_IsPlainWordsNotAStackTrace()
    {
        var (code, output, error) = ControlHost.Evenkeel("status", "--cluster", _directory.Path + "/nobody.sock");
        Assert.Equal((ExitCode.Failed, ""), (code, output));
        Assert.StartsWith("evenkeel: there is no socket", error, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", error, StringComparison.Ordinal);
    }
}
