using System.Globalization;
using System.Net;
using System.Threading.Channels;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Services.Systemd;
using Xunit;

namespace Evenkeel.EndToEnd.Systemd;

/// <summary>The systemd driver over a real systemd.</summary>
[Trait("needs", "root")]
[Trait("Machine", "shared"), Trait("Turn", "3")]
public sealed class UnitTests : IAsyncLifetime
{
    private readonly Channel<InstanceFacts> changes = Channel.CreateUnbounded<InstanceFacts>();
    private UserManager manager = null!;
    private SystemdDriver driver = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;
    private InstanceFacts Facts => driver.List().Single();
    private string MemoryDirectory => Path.Combine(manager.Directory, "memory");

    public async ValueTask InitializeAsync()
    {
        manager = await UserManager.StartAsync(Token);
        driver = NewDriver();
    }

    public async ValueTask DisposeAsync()
    {
        await driver.DisposeAsync();
        await manager.DisposeAsync();
    }

    [Fact]
    public async Task Service_StartsAndStops()
    {
        await manager.AddAsync("reports.service", "[Service]\nType=exec\nExecStart=/bin/sleep 1000\nRestart=always\n", Token);
        await StartAsync();
        Assert.Equal((InstanceStatus.Running, Health.Healthy, new Epoch(1, 1)), (Facts.Status, Facts.Health, Facts.Epoch!.Value));
        Assert.Equal("active", await manager.PropertyAsync("reports.service", "ActiveState", Token));
        Assert.Equal(Facts.ProcessId!.Value.ToString(CultureInfo.InvariantCulture), await manager.PropertyAsync("reports.service", "MainPID", Token));
        Assert.Equal("no", await manager.PropertyAsync("reports.service", "Restart", Token));
        Assert.Contains("evenkeel.service", await manager.PropertyAsync("reports.service", "Before", Token), StringComparison.Ordinal);
        Assert.True((await driver.StopAsync("svc", Token)).Succeeded);
        Assert.Equal("inactive", await manager.PropertyAsync("reports.service", "ActiveState", Token));
        Assert.Equal(InstanceStatus.Stopped, Facts.Status);
    }

    [Fact]
    public async Task Service_ThatIsKilled_IsSeenAndNotRestartedBehindOurBack()
    {
        await manager.AddAsync("reports.service", "[Service]\nType=exec\nExecStart=/bin/sleep 1000\nRestart=always\nRestartSec=0\n", Token);
        await StartAsync();
        Signals.Send(Facts.ProcessId!.Value, Signals.Kill);
        await UntilAsync(facts => facts.Status == InstanceStatus.Failed);
        Assert.Contains("signal", Facts.Detail, StringComparison.Ordinal);
        Assert.Equal(("failed", "0"), (await manager.PropertyAsync("reports.service", "ActiveState", Token), await manager.PropertyAsync("reports.service", "NRestarts", Token)));
        await StartAsync();
        Assert.Equal(InstanceStatus.Running, Facts.Status);
    }

    [Theory]
    [InlineData("[Service]\nType=oneshot\nExecStart=/bin/false\n", "exit-code")]
    [InlineData("[Service]\nType=exec\nExecStart=/no/such/program\n", "exit-code")]
    [InlineData(null, "not-found")]
    public async Task Service_ThatCannotStart_SaysWhy(string? text, string words)
    {
        if (text is not null) await manager.AddAsync("reports.service", text, Token);
        var result = await driver.StartAsync(Order(), Token);
        Assert.False(result.Succeeded);
        Assert.Contains(words, result.Reason, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Service_ThatIgnoresItsStop_IsKilled()
    {
        await manager.AddAsync("reports.service", "[Service]\nType=exec\nExecStart=/bin/sh -c 'trap \"\" TERM; while :; do sleep 1; done'\nTimeoutStopSec=600\n", Token);
        await StartAsync();
        var process = Facts.ProcessId!.Value;
        Assert.True((await driver.StopAsync("svc", Token)).Succeeded);
        Assert.False(Directory.Exists($"/proc/{process}"));
        Assert.Equal(InstanceStatus.Stopped, Facts.Status);
    }

    [Fact]
    public async Task Service_OfAnEarlierAgent_IsKnownAndStopped()
    {
        await manager.AddAsync("reports.service", "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n", Token);
        await StartAsync();
        await driver.DisposeAsync();
        driver = NewDriver();
        await UntilAsync(facts => facts.Status == InstanceStatus.Running);
        Assert.True((await driver.StopAsync("svc", Token)).Succeeded);
        Assert.Equal("inactive", await manager.PropertyAsync("reports.service", "ActiveState", Token));
    }

    [Fact]
    public async Task Service_ThatBootWouldStart_IsAWarning()
    {
        await manager.AddAsync("reports.service", "[Service]\nType=exec\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=default.target\n", Token);
        await manager.AskAsync(["enable", "reports.service"], Token);
        await StartAsync();
        Assert.Contains("systemctl disable reports.service", Facts.Detail, StringComparison.Ordinal);
    }

    private SystemdDriver NewDriver()
    {
        var made = new SystemdDriver(manager.Systemctl, manager.DropIn, TimeSpan.FromMilliseconds(100), new UnitMemory(MemoryDirectory));
        made.Changed += facts => changes.Writer.TryWrite(facts);
        return made;
    }

    private async Task StartAsync()
    {
        var result = await driver.StartAsync(Order(), Token);
        Assert.True(result.Succeeded, result.Reason);
    }

    private async Task UntilAsync(Func<InstanceFacts, bool> wanted)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        await foreach (var facts in changes.Reader.ReadAllAsync(limit.Token))
            if (wanted(facts)) return;
    }

    private static InstanceOrder Order() => new(
        new ServiceSpec
        {
            Name = "svc", Redundancy = Redundancy.Cold, Activity = Activity.SingleActive, Instances = 1,
            Driver = new SystemdDriverSpec { Unit = "reports.service", StopTimeout = TimeSpan.FromSeconds(1), StartTimeout = TimeSpan.FromSeconds(20) },
        },
        new NodeSpec { Name = new NodeName("n1"), Private = [IPAddress.Parse("127.0.0.1")] }, null, new Epoch(1, 1));
}
