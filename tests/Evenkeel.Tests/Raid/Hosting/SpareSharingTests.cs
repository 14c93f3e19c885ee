using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Hosting;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Hosting;

/// <summary>Two arrays of one group: the spare of the one mends the other.</summary>
public sealed class SpareSharingTests
{
    [Fact]
    public async Task Fail_WithoutASpareOfItsOwn_BorrowsTheOthers()
    {
        var rich = await Bench.CreateAsync(RaidLevel.Raid1, 2, spares: 1);
        var poor = await Bench.CreateAsync(RaidLevel.Raid5, 3);
        var content = await poor.FillAsync(1);
        using var lender = new ArrayHost(rich.Array, "nbd://rich", _ => throw new IOException("not there"), _ => { }, new HostOptions { SpareGroup = "all" });
        using var borrower = new ArrayHost(poor.Array, "nbd://poor", name => Task.FromResult<Evenkeel.Raid.Devices.IMemberDevice>(rich.Disks.Single(disk => "rich:" + disk.Name == name)), _ => { }, new HostOptions
        {
            SpareGroup = "all",
            Borrow = async (bytes, _) => (await lender.ObeyAsync(new HostOrder("lend", Group: "all", Bytes: bytes))).Device is { } lent ? "rich:" + lent : null,
        });
        using var stop = new CancellationTokenSource();
        var running = borrower.RunAsync(stop.Token);
        await borrower.ObeyAsync(new HostOrder("fail", "1"));
        while (poor.Array.IsDegraded) await Task.Delay(5, TestContext.Current.CancellationToken);
        await stop.CancelAsync();
        await running;
        Assert.Equal("disk2", poor.Array.Members.Single(member => member.Slot == 1).Device.Name);
        Assert.Equal(2, rich.Array.Members.Count);
        await Bench.AssertReadsAsync(content, poor.Array);
        Assert.Equal(0, await poor.Array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));

        // The lender is started with its old list: the disk that it lent is left alone.
        await rich.Array.StopAsync();
        await poor.Array.StopAsync();
        var again = await Bench.OpenAsync(rich.Disks);
        Assert.Equal(2, again.Members.Count);
        Assert.False(again.IsDegraded);
    }

    [Theory]
    [InlineData("other", 0, false, "not of the group")]
    [InlineData("all", long.MaxValue, false, "no spare of")]
    [InlineData("all", 0, true, "itself")]
    public async Task Lend_WhatCannotBeGiven_IsRefused(string group, long bytes, bool degraded, string words)
    {
        var rich = await Bench.CreateAsync(RaidLevel.Raid1, 3, spares: 1);
        using var lender = new ArrayHost(rich.Array, "nbd://rich", _ => throw new IOException("not there"), _ => { }, new HostOptions { SpareGroup = "all" });
        if (degraded) await rich.Array.FailAsync(rich.Array.Members[0]);
        var answer = await lender.ObeyAsync(new HostOrder("lend", Group: group, Bytes: bytes));
        Assert.Contains(words, answer.Error, StringComparison.Ordinal);
        Assert.Null(answer.Device);
        Assert.Equal(4, rich.Array.Members.Count);
    }
}
