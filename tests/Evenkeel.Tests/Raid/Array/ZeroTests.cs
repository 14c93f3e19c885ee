using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>Ranges made to read as zeros, by rows where they are whole.</summary>
public sealed class ZeroTests
{
    [Theory]
    [InlineData(RaidLevel.Raid0, 3, false)]
    [InlineData(RaidLevel.Raid1, 2, false)]
    [InlineData(RaidLevel.Raid5, 4, false)]
    [InlineData(RaidLevel.Raid5, 4, true)]
    [InlineData(RaidLevel.Raid6, 5, false)]
    [InlineData(RaidLevel.Raid10, 5, false)]
    public async Task Zero_AnyRange_ReadsAsZerosAndKeepsTheRest(RaidLevel level, int members, bool log)
    {
        var bench = await Bench.CreateAsync(level, members, log: log);
        var content = await bench.FillAsync(1);
        var random = new Random(2);
        for (var i = 0; i < 40; i++)
        {
            var at = random.Next(content.Length / 512) * 512;
            var length = Math.Min(content.Length - at, random.Next(0, 200) * 512);
            content.AsSpan(at, length).Clear();
            await bench.Array.ZeroAsync(at, length);
        }

        await Bench.AssertReadsAsync(content, bench.Array);
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
        if (level == RaidLevel.Raid0) return;
        await bench.Array.FailAsync(bench.Array.Members[1]);
        await bench.Array.ZeroAsync(8192, 65536);
        content.AsSpan(8192, 65536).Clear();
        await Bench.AssertReadsAsync(content, bench.Array);
    }

    [Fact]
    public async Task Trim_OfAnArray_IsOfferedOnlyWhereMembersGiveRoomBack()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid1, 2);
        Assert.False(new ArrayExport(bench.Array, "a").CanTrim);
    }

    [Fact]
    public async Task Zero_BeyondTheEnd_IsRefused()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid1, 2);
        await Assert.ThrowsAsync<ArgumentException>(async () => await bench.Array.ZeroAsync(bench.Array.Length - 512, 1024));
        await Assert.ThrowsAsync<ArgumentException>(async () => await bench.Array.ZeroAsync(0, -512));
    }
}
