using System.Net;
using System.Threading.Channels;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Services.Systemd;
using Xunit;

namespace Evenkeel.Tests.Services.Systemd;

/// <summary>The driver over a scripted <c>systemctl</c>: a shell program whose unit is a file. No systemd is proven by this.</summary>
public sealed class SystemdDriverTests : IAsyncLifetime
{
    private readonly string _directory = Directory.CreateTempSubdirectory("evenkeel-systemd-").FullName;
    private readonly Channel<InstanceFacts> _changes = Channel.CreateUnbounded<InstanceFacts>();
    private SystemdDriver _driver = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;
    private string DropInFile => Path.Combine(_directory, "run", "reports.service.d", "50-evenkeel.conf");
    private string[] Calls => File.ReadAllLines(Path.Combine(_directory, "calls"));

    public ValueTask InitializeAsync()
    {
        var program = Path.Combine(_directory, "systemctl");
        File.WriteAllText(program, $$"""
            #!/bin/sh
            cd {{_directory}}
            shift 2
            echo "$*" >> calls
            for unit; do :; done
            state=$(cat state 2>/dev/null || echo inactive)
            case "$1" in
              show) [ -e bus-gone ] && { echo "Failed to connect to bus" >&2; exit 1; }
                    echo "LoadState=$(cat load 2>/dev/null || echo loaded)"; echo "ActiveState=$state"; echo "SubState=x"
                    echo "Result=$(cat result 2>/dev/null || echo success)"; [ $state = active ] && echo MainPID=4711 || echo MainPID=0
                    echo "UnitFileState=$(cat file 2>/dev/null || echo disabled)";;
              start) [ -e start-fails ] && { echo failed > state; echo exit-code > result; echo "Job for $unit failed because the control process exited with error code." >&2; exit 1; }
                     [ -e start-hangs ] && { echo activating > state; sleep 30; }
                     echo active > state;;
              stop) [ -e stop-hangs ] && sleep 30; [ -e stop-fails ] || echo inactive > state;;
              kill) rm -f stop-hangs;;
            esac
            """.Replace("\r", "", StringComparison.Ordinal));
        File.SetUnixFileMode(program, (UnixFileMode)0b111_101_101);
        _driver = Driver();
        _driver.Changed += facts => _changes.Writer.TryWrite(facts);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _driver.DisposeAsync();
        Directory.Delete(_directory, recursive: true);
    }

    [Fact]
    public async Task Start_WritesTheDropIn_StartsTheJob_AndAdoptsWhatRuns()
    {
        Assert.True((await _driver.StartAsync(Order(), Token)).Succeeded);
        Assert.Equal((InstanceStatus.Running, Health.Healthy, 4711, new Epoch(1, 1)), (Facts.Status, Facts.Health, Facts.ProcessId!.Value, Facts.Epoch!.Value));
        Assert.Contains("Restart=no", File.ReadAllText(DropInFile), StringComparison.Ordinal);
        Assert.Contains("daemon-reload", Calls);
        Assert.True((await _driver.StartAsync(Order(), Token)).Succeeded);
        Assert.Single(Calls, call => call.StartsWith("start ", StringComparison.Ordinal));
        Assert.Single(Calls, call => call == "daemon-reload");
    }

    [Fact]
    public async Task Start_WhoseJobFails_IsAFailureWithItsResult()
    {
        Put("start-fails");
        var result = await _driver.StartAsync(Order(), Token);
        Assert.Contains("control process exited", result.Reason, StringComparison.Ordinal);
        Assert.Contains("failed (x), result exit-code", result.Reason, StringComparison.Ordinal);
        Assert.Equal(InstanceStatus.Failed, Facts.Status);
        File.Delete(Path.Combine(_directory, "start-fails"));
        Assert.True((await _driver.StartAsync(Order(), Token)).Succeeded);
        Assert.Contains(Calls, call => call.StartsWith("reset-failed", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("load", "not-found", "not-found")]
    [InlineData("load", "masked", "masked")]
    [InlineData("bus-gone", "", "Failed to connect to bus")]
    public async Task Start_OfAUnitThatCannotBeUsed_SaysWhy(string file, string text, string expected)
    {
        Put(file, text);
        Assert.Contains(expected, (await _driver.StartAsync(Order(), Token)).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unit_ThatIsEnabledAtBoot_IsAWarning()
    {
        Put("file", "enabled");
        await _driver.StartAsync(Order(), Token);
        Assert.Contains("systemctl disable reports.service", Facts.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Unit_ThatEndedByItself_IsFailed()
    {
        await _driver.StartAsync(Order(), Token);
        Put("result", "oom-kill");
        Put("state", "failed");
        await foreach (var facts in _changes.Reader.ReadAllAsync(Token))
        {
            if (facts.Status != InstanceStatus.Failed) continue;
            Assert.Equal(("failed (x), result oom-kill", 1), (facts.Detail, facts.Restarts));
            break;
        }
    }

    [Fact]
    public async Task Stop_ThatHangs_IsKilled_AndOneThatDoesNotEndAsksForFencing()
    {
        await _driver.StartAsync(Order(), Token);
        Put("stop-hangs");
        Assert.True((await _driver.StopAsync("svc", Token)).Succeeded);
        Assert.Contains(Calls, call => call.StartsWith("kill --signal=SIGKILL", StringComparison.Ordinal));
        Assert.Equal(InstanceStatus.Stopped, Facts.Status);

        await _driver.StartAsync(Order(), Token);
        Put("stop-fails");
        Assert.Contains("must be fenced", (await _driver.StopAsync("svc", Token)).Reason, StringComparison.Ordinal);
        Assert.Equal(InstanceStatus.Stuck, Facts.Status);
    }

    [Fact]
    public async Task Start_ThatHangsBetween_IsStoppedBeforeItCountsAsFailed()
    {
        Put("start-hangs");
        Assert.False((await _driver.StartAsync(Order(), Token)).Succeeded);
        Assert.Equal(InstanceStatus.Failed, Facts.Status);
        Assert.Equal("inactive", File.ReadAllText(Path.Combine(_directory, "state")).Trim());

        Put("stop-fails");
        Assert.False((await _driver.StartAsync(Order(), Token)).Succeeded);
        Assert.Equal(InstanceStatus.Stuck, Facts.Status);
    }

    [Fact]
    public async Task Unit_LeftByAnEarlierAgent_IsToldWithItsEpochAndCanBeStopped()
    {
        await _driver.StartAsync(Order(), Token);
        await using (var next = Driver())
        {
            var left = Assert.Single(next.List());
            Assert.Equal(("svc", InstanceStatus.Running, new Epoch(1, 1), 0UL), (left.Service, left.Status, left.Epoch!.Value, left.Version));
            Assert.True((await next.StopAsync("svc", Token)).Succeeded);
        }
        Assert.Contains("stop --job-mode=replace -- reports.service", Calls);
        await using var last = Driver();
        Assert.Empty(last.List());
    }

    [Fact]
    public async Task WithoutSystemd_EveryStartSaysSo()
    {
        await using var driver = new SystemdDriver(new Systemctl("/nowhere/systemctl"), new DropIn(_directory));
        Assert.Contains("does systemd run here?", (await driver.StartAsync(Order(), Token)).Reason, StringComparison.Ordinal);
    }

    private SystemdDriver Driver() => new(
        new Systemctl(Path.Combine(_directory, "systemctl")), new DropIn(Path.Combine(_directory, "run")), TimeSpan.FromMilliseconds(20), new UnitMemory(Path.Combine(_directory, "memory")));

    private InstanceFacts Facts => Assert.Single(_driver.List());
    private void Put(string file, string text = "") => File.WriteAllText(Path.Combine(_directory, file), text);

    private static InstanceOrder Order() => new(
        new ServiceSpec
        {
            Name = "svc", Redundancy = Redundancy.Cold, Activity = Activity.SingleActive, Instances = 1,
            Driver = new SystemdDriverSpec { Unit = "reports.service", StartTimeout = TimeSpan.FromMilliseconds(1500), StopTimeout = TimeSpan.FromMilliseconds(500) },
        },
        new NodeSpec { Name = new NodeName("n1"), Private = [IPAddress.Loopback] }, null, new Epoch(1, 1));
}
