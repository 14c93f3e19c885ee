using System.Net;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Services.Process;
using Xunit;

namespace Evenkeel.Tests.Services;

/// <summary>The driver's promises (see <see cref="IServiceDriver"/>) over really running processes.</summary>
public sealed class ProcessDriverTests : IAsyncLifetime
{
    private readonly InProcessLauncher launcher = new();
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-driver-").FullName;
    private readonly Channel<InstanceFacts> changes = Channel.CreateUnbounded<InstanceFacts>();
    private ProcessDriver driver = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        driver = NewDriver();
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await driver.DisposeAsync();
        await launcher.DisposeAsync();
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public async Task Start_OfARunningInstance_SucceedsAndStartsNothing()
    {
        Assert.True((await driver.StartAsync(Order("sleep 60"), Token)).Succeeded);
        Assert.True((await driver.StartAsync(Order("sleep 60"), Token)).Succeeded);
        Assert.Single(launcher.Launches);
        Assert.Equal(InstanceStatus.Running, Assert.Single(driver.List()).Status);
    }

    [Fact]
    public async Task Start_CommandChanged_RestartsIt()
    {
        await driver.StartAsync(Order("sleep 60"), Token);
        var before = driver.List().Single().ProcessId;
        Assert.True((await driver.StartAsync(Order("sleep 61"), Token)).Succeeded);
        Assert.NotEqual(before, driver.List().Single().ProcessId);
        Assert.Equal(InstanceStatus.Running, driver.List().Single().Status);
    }

    [Fact]
    public async Task Start_ProgramDoesNotExist_FailsWithTheReason()
    {
        var result = await driver.StartAsync(Order(["/nowhere/to/be/found"]), Token);
        Assert.False(result.Succeeded);
        Assert.NotEmpty(result.Reason!);
    }

    [Fact]
    public async Task Start_PlacesAreFilledIn_BeforeTheGuardSeesThem()
    {
        await driver.StartAsync(Order(["sleep", "60"], spec => spec with
        {
            Environment = new Dictionary<string, string> { ["URL"] = "http://{private}:{port}/{node}" },
        }), Token);
        Assert.Equal("http://127.0.0.1:5000/n1", launcher.Launches.Single().Environment["URL"]);
    }

    [Fact]
    public async Task Stop_RunningInstance_EndsItByItsSignal()
    {
        await driver.StartAsync(Order("trap 'exit 0' USR1; while :; do sleep 0.05; done", spec => spec with { StopSignal = "USR1" }), Token);
        Assert.True((await driver.StopAsync("web", Token)).Succeeded);
        Assert.Equal(InstanceStatus.Stopped, (await Until(facts => facts.Status == InstanceStatus.Stopped)).Status);
        Assert.DoesNotContain(driver.List(), facts => facts.Status == InstanceStatus.Running);
    }

    [Fact]
    public async Task Stop_SignalIsIgnored_KillsTheTree()
    {
        await driver.StartAsync(Order("trap '' TERM; sleep 60 & while :; do sleep 0.05; done", spec => spec with { StopTimeout = TimeSpan.FromMilliseconds(200) }), Token);
        Assert.True((await driver.StopAsync("web", Token)).Succeeded);
    }

    [Theory, InlineData(Activity.SingleActive, InstanceStatus.Stuck), InlineData(Activity.Spread, InstanceStatus.Failed)]
    public async Task Stop_OfWhatCannotBeKilled_IsStuckUntilItHasEnded(Activity activity, InstanceStatus status)
    {
        var order = Order("sleep 60", spec => spec with { StopTimeout = TimeSpan.FromMilliseconds(50) });
        order = order with { Spec = order.Spec with { Activity = activity } };
        await driver.StartAsync(order, Token);
        launcher.Deaf = true;
        var stopped = await driver.StopAsync("web", Token);
        Assert.False(stopped.Succeeded);
        Assert.Contains("did not end even when killed", stopped.Reason, StringComparison.Ordinal);
        var stuck = driver.List().Single();
        Assert.Equal((status, true), (stuck.Status, stuck.ProcessId is not null));
        // No second one beside it.
        Assert.False((await driver.StartAsync(order, Token)).Succeeded);
        Assert.Equal(status, driver.List().Single().Status);
        Assert.Single(launcher.Launches);
        launcher.Deaf = false;
        Assert.True((await driver.StopAsync("web", Token)).Succeeded);
        await Until(facts => facts is { Status: InstanceStatus.Stopped, ProcessId: null });
    }

    [Fact]
    public async Task Exit_ThatLeavesProcessesBehind_IsStuck_NotRestarted()
    {
        var order = Order("sleep 60");
        await driver.StartAsync(order with { Spec = order.Spec with { Activity = Activity.SingleActive } }, Token);
        launcher.SayLeft("web");
        Assert.Contains("killed and have not ended", (await Until(facts => facts.Status == InstanceStatus.Stuck)).Detail, StringComparison.Ordinal);
        Assert.True((await driver.StopAsync("web", Token)).Succeeded);
        await Until(facts => facts.Status == InstanceStatus.Stopped);
        Assert.Single(launcher.Launches);
    }

    [Fact]
    public async Task Stop_OfWhatAnEarlierAgentLeft_SucceedsOnceItHasEnded()
    {
        await driver.StartAsync(Order("sleep 60"), Token);
        await NewAgent();
        launcher.Deaf = true;
        Assert.False((await driver.StopAsync("web", Token)).Succeeded);
        Assert.Equal(InstanceStatus.Running, driver.List().Single().Status);
        launcher.Deaf = false;
        Assert.True((await driver.StopAsync("web", Token)).Succeeded);
        Assert.Empty(driver.List());
    }

    [Fact]
    public async Task Stop_OfWhatDoesNotRun_Succeeds() => Assert.True((await driver.StopAsync("web", Token)).Succeeded);

    [Fact]
    public async Task Instance_EndsByItself_IsReportedFailedAndStartedAgain()
    {
        await driver.StartAsync(Order("exit 3"), Token);
        var failed = await Until(facts => facts.Status == InstanceStatus.Failed);
        Assert.Contains("3", failed.Detail, StringComparison.Ordinal);
        Assert.Equal(2, (await Until(facts => facts.Restarts == 2)).Restarts);
        Assert.True((await driver.StopAsync("web", Token)).Succeeded);
    }

    [Fact]
    public async Task Check_ScriptTurnsBad_TurnsUnhealthyAndBack()
    {
        var flag = Path.Combine(directory, "well");
        await File.WriteAllTextAsync(flag, "", Token);
        var health = new HealthSpec { Kind = ProbeKind.Script, Command = ["test", "-e", flag], Every = TimeSpan.FromMilliseconds(20), Timeout = TimeSpan.FromSeconds(5) };
        await driver.StartAsync(Order(["sleep", "60"], health: health), Token);
        await Until(facts => facts.Health == Health.Healthy);
        File.Delete(flag);
        await Until(facts => facts.Health == Health.Unhealthy);
        await File.WriteAllTextAsync(flag, "", Token);
        await Until(facts => facts.Health == Health.Healthy);
    }

    [Fact]
    public async Task Check_FailsWhileItStarts_CountsOnlyAfterTheStartTimeout()
    {
        var flag = Path.Combine(directory, "well");
        var health = new HealthSpec { Kind = ProbeKind.Script, Command = ["test", "-e", flag], Every = TimeSpan.FromMilliseconds(20), Timeout = TimeSpan.FromSeconds(5) };
        await driver.StartAsync(Order(["sleep", "60"], health: health), Token);
        var starting = await Until(facts => facts.Detail.Length > 0);
        Assert.Equal((InstanceStatus.Running, Health.Unknown), (starting.Status, starting.Health));
        // Far more checks than it takes to be called ill.
        var checks = Task.Delay(50 * health.Every, Token);
        while (!checks.IsCompleted)
        {
            Assert.Equal(Health.Unknown, driver.List().Single().Health);
            await Task.Delay(health.Every, Token);
        }

        await File.WriteAllTextAsync(flag, "", Token);
        await Until(facts => facts.Health == Health.Healthy);
        // It has been well: from now on they count.
        File.Delete(flag);
        await Until(facts => facts.Health == Health.Unhealthy);
    }

    [Fact]
    public async Task Check_NeverPasses_ItIsIllAfterTheStartTimeout_AlsoWhereAnotherAgentFoundIt()
    {
        var health = new HealthSpec { Kind = ProbeKind.Script, Command = ["false"], Every = TimeSpan.FromMilliseconds(20), Timeout = TimeSpan.FromSeconds(5) };
        var order = Order(["sleep", "60"], spec => spec with { StartTimeout = TimeSpan.FromSeconds(1) }, health);
        var begun = Environment.TickCount64;
        await driver.StartAsync(order, Token);
        Assert.NotEmpty((await Until(facts => facts.Health == Health.Unhealthy)).Detail);
        Assert.InRange(Environment.TickCount64 - begun, 1000, long.MaxValue);
        await NewAgent();
        await driver.StartAsync(order, Token);
        // The time was the process's, not the agent's: nothing is said of a start.
        Assert.Equal(Health.Unhealthy, (await Until(facts => facts.Detail.Length > 0)).Health);
    }

    [Fact]
    public async Task Start_AfterAnAgentsRestart_AdoptsTheSameAndReplacesTheDifferent()
    {
        await driver.StartAsync(Order("sleep 60"), Token);
        var process = driver.List().Single().ProcessId;
        await NewAgent();
        Assert.Equal(process, driver.List().Single().ProcessId);
        Assert.True((await driver.StartAsync(Order("sleep 60"), Token)).Succeeded);
        Assert.Equal(process, driver.List().Single().ProcessId);
        await NewAgent();
        Assert.True((await driver.StartAsync(Order("sleep 61"), Token)).Succeeded);
        Assert.NotEqual(process, driver.List().Single().ProcessId);
        Assert.Equal(2, launcher.Launches.Count);
    }

    [Fact]
    public async Task Hello_OfTheSameGuardAgain_KeepsTheHealthThatIsKnown()
    {
        await driver.StartAsync(Order("sleep 60"), Token);
        var before = driver.List().Single();
        await launcher.SayHello();
        Assert.Equal(before, driver.List().Single());
    }

    [Fact]
    public async Task Promote_ItsCommandSucceeds_ItActsUnderTheEpochUntilItIsDemoted()
    {
        await driver.StartAsync(Warm("touch {0}/active", "rm {0}/active"), Token);
        Assert.Null(driver.List().Single().Epoch);
        Assert.True((await driver.PromoteAsync("web", new Epoch(1, 4), Token)).Succeeded);
        Assert.True(File.Exists(Path.Combine(directory, "active")));
        Assert.Equal(new Epoch(1, 4), driver.List().Single().Epoch);
        Assert.True((await driver.DemoteAsync("web", Token)).Succeeded);
        Assert.False(File.Exists(Path.Combine(directory, "active")));
        Assert.Null(driver.List().Single().Epoch);
        Assert.Single(launcher.Launches);
    }

    [Theory, InlineData(true), InlineData(false)]
    public async Task RoleChange_ItsCommandFails_ItIsEndedForNobodyKnowsWhatItIs(bool promotes)
    {
        await driver.StartAsync(Warm(promotes ? "echo no disk >&2; exit 5" : "true", "exit 6"), Token);
        var promoted = await driver.PromoteAsync("web", new Epoch(1, 4), Token);
        var result = promotes ? promoted : await driver.DemoteAsync("web", Token);
        Assert.False(result.Succeeded);
        Assert.Contains(promotes ? "promote: 'sh' ended with 5: no disk" : "demote: 'sh' ended with 6", result.Reason, StringComparison.Ordinal);
        var ended = await Until(facts => facts.Status == InstanceStatus.Stopped);
        Assert.Null(ended.Epoch);
        Assert.Null(ended.ProcessId);
    }

    [Fact]
    public async Task Promoted_FoundByAnotherAgent_IsNoStandby()
    {
        await driver.StartAsync(Warm("true", "true"), Token);
        await driver.PromoteAsync("web", new Epoch(1, 4), Token);
        await NewAgent();
        Assert.Equal(new Epoch(1, 4), driver.List().Single().Epoch);
        Assert.True((await driver.StartAsync(Warm("true", "true"), Token)).Succeeded);
        Assert.Equal(new Epoch(1, 4), driver.List().Single().Epoch);
        await driver.DemoteAsync("web", Token);
        await NewAgent();
        Assert.Null(driver.List().Single().Epoch);
    }

    [Fact]
    public async Task Promoted_EndsByItself_ComesBackAsAStandby()
    {
        await driver.StartAsync(Warm("true", "true"), Token);
        await driver.PromoteAsync("web", new Epoch(1, 4), Token);
        launcher.Send(new Core.PrivateConnection.Signal("web", 9, Tree: true));
        Assert.Null((await Until(facts => facts.Status == InstanceStatus.Failed)).Epoch);
        Assert.Null((await Until(facts => facts.Status == InstanceStatus.Running)).Epoch);
    }

    [Fact]
    public async Task Prepare_RunsBeforeTheCommand_InItsPlace()
    {
        var data = Path.Combine(directory, "it's data");
        await driver.StartAsync(Order($"test -e '{directory}/it'\\''s data' && exec sleep 60", spec => spec with { Prepare = ["touch", data] }), Token);
        var running = await Until(facts => facts.Status == InstanceStatus.Running);
        for (var until = DateTime.UtcNow.AddSeconds(20); !(await File.ReadAllTextAsync($"/proc/{running.ProcessId}/cmdline", Token)).StartsWith("sleep", StringComparison.Ordinal); await Task.Delay(20, Token))
            Assert.True(DateTime.UtcNow < until, "the program does not run as the process that was started");
        Assert.True(File.Exists(data));
    }

    [Fact]
    public async Task Prepare_Fails_TheCommandDoesNotRun()
    {
        await driver.StartAsync(Order($"touch '{directory}/ran'; sleep 60", spec => spec with { Prepare = ["sh", "-c", "exit 7"] }), Token);
        Assert.Contains("7", (await Until(facts => facts.Status == InstanceStatus.Failed)).Detail, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(directory, "ran")));
        await driver.StopAsync("web", Token);
    }

    private InstanceOrder Warm(string promote, string demote) => Order("sleep 60", spec => spec with
    {
        Promote = ["sh", "-c", promote.Replace("{0}", directory, StringComparison.Ordinal)], Demote = ["sh", "-c", demote.Replace("{0}", directory, StringComparison.Ordinal)],
    });

    private async Task NewAgent()
    {
        await driver.DisposeAsync();
        driver = NewDriver();
        await launcher.SayHello();
    }

    private ProcessDriver NewDriver()
    {
        var made = new ProcessDriver(launcher, directory);
        while (changes.Reader.TryRead(out _)) { }
        made.Changed += facts => changes.Writer.TryWrite(facts);
        return made;
    }

    private async Task<InstanceFacts> Until(Func<InstanceFacts, bool> condition)
    {
        await foreach (var facts in changes.Reader.ReadAllAsync(Token))
            if (condition(facts)) return facts;
        throw new InvalidOperationException("unreachable");
    }

    private static InstanceOrder Order(string script, Func<ProcessDriverSpec, ProcessDriverSpec>? change = null) => Order(["sh", "-c", script], change);

    private static InstanceOrder Order(IReadOnlyList<string> command, Func<ProcessDriverSpec, ProcessDriverSpec>? change = null, HealthSpec? health = null)
    {
        var spec = new ProcessDriverSpec { Command = command, Port = 5000 };
        return new InstanceOrder(
            new ServiceSpec { Name = "web", Redundancy = Redundancy.Hot, Activity = Activity.Spread, Instances = 1, Driver = change?.Invoke(spec) ?? spec, Health = health },
            new NodeSpec { Name = new NodeName("n1"), Private = [IPAddress.Loopback] }, null, null);
    }
}
