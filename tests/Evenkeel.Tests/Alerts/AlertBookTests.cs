using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Alerts;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Alerts;

public sealed class AlertBookTests
{
    private static readonly AlertReceiverSpec pager = new() { Name = "pager", Command = ["page"], From = Concern.Degraded, After = TimeSpan.FromSeconds(5) };
    private static readonly Finding lost = new(Concern.Degraded, "node-lost", "node/n2", "node n2 is lost, silent for 1 s", "Check its power");
    private readonly AlertBook book = new();
    private DateTimeOffset now = new(2026, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Firing_AfterItStoodLongEnough_Once()
    {
        Assert.Empty(At(0, lost));
        Assert.Empty(At(4, lost));
        Assert.Equal(["pager Firing node-lost node/n2"], At(1, lost with { What = "node n2 is lost, silent for 6 s" }));
        Assert.Empty(At(1, lost));
        Assert.Empty(At(3600, lost));
    }

    [Fact]
    public void Resolved_OnceItIsGoneForGood()
    {
        At(0, lost);
        At(5, lost);
        Assert.Empty(At(1));
        Assert.Empty(At(1));
        Assert.Equal(["pager Resolved node-lost node/n2"], At(2));
        Assert.Empty(At(1));
    }

    [Fact]
    public void Flicker_IsTheSameAlertStill()
    {
        At(0, lost);
        Assert.Single(At(5, lost));
        Assert.Empty(At(1));
        Assert.Empty(At(1, lost));
        Assert.Empty(At(10, lost));
    }

    [Fact]
    public void OverBeforeItsTime_IsNotTold()
    {
        At(0, lost);
        At(2, lost);
        Assert.Empty(At(1));
        Assert.Empty(At(5));
        Assert.Empty(At(60));
    }

    [Fact]
    public void Mild_IsNotTold() => Assert.Empty(At(0, lost with { Concern = Concern.Note }).Concat(At(10, lost with { Concern = Concern.Note })));

    [Fact]
    public void Several_OfOneKindAndSubject_AreOneAlert()
    {
        At(0, lost, lost with { What = "another" });
        At(5, lost, lost with { What = "another" });
        Assert.Equal("node n2 is lost, silent for 1 s; another", Assert.Single(book.Standing).What);
    }

    [Fact]
    public void NewTeller_TellsWhatStandsAndWhatEndedJustNow()
    {
        var vip = new Finding(Concern.Down, "vip-down", "vip/front", "no owner", "See below");
        At(0, speaks: false, lost, vip);
        At(10, speaks: false, lost, vip);
        At(1, speaks: false, vip);
        Assert.Equal(["pager Firing vip-down vip/front", "pager Resolved node-lost node/n2"], At(4, speaks: true, vip).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Repeat_Reminds()
    {
        var nagging = pager with { Repeat = TimeSpan.FromMinutes(10) };
        Assert.Empty(book.Observe([lost], now, true, [nagging]));
        Assert.Single(book.Observe([lost], now.AddSeconds(5), true, [nagging]));
        Assert.Empty(book.Observe([lost], now.AddMinutes(9), true, [nagging]));
        Assert.Single(book.Observe([lost], now.AddMinutes(11), true, [nagging]));
    }

    [Fact]
    public void Resolved_NotWanted_IsNotTold()
    {
        var quiet = pager with { Resolved = false };
        book.Observe([lost], now, true, [quiet]);
        Assert.Single(book.Observe([lost], now.AddSeconds(5), true, [quiet]));
        book.Observe([], now.AddSeconds(6), true, [quiet]);
        Assert.Empty(book.Observe([], now.AddSeconds(20), true, [quiet]));
    }

    private IReadOnlyList<string> At(int seconds, params Finding[] findings) => At(seconds, true, findings);

    private IReadOnlyList<string> At(int seconds, bool speaks, params Finding[] findings)
    {
        now += TimeSpan.FromSeconds(seconds);
        return [.. book.Observe(findings, now, speaks, [pager]).Select(told => $"{told.Receiver.Name} {told.State} {told.Alert.Alert} {told.Alert.Subject}")];
    }
}
