using Evenkeel.Raid.Advice;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Advice;

public sealed class ArrayAdviceTests
{
    // 1e12 bytes at 1e8 a second: 10,000 s of rebuild; 1e6 h to failure; no unreadable sectors.
    private static readonly DiskFacts Disks = new(6, 1_000_000_000_000, TimeSpan.FromHours(1e6), 1e8, 0, TimeSpan.Zero);

    [Theory]
    [InlineData(RaidLevel.Raid0, 6, 0, 1e6 / 6)]
    [InlineData(RaidLevel.Raid5, 5, 1, 1e12 / (6 * 5 * (10_000 / 3600.0)))]
    [InlineData(RaidLevel.Raid6, 4, 2, 1e18 / (6 * 5 * 4 * (10_000 / 3600.0) * (10_000 / 3600.0)))]
    [InlineData(RaidLevel.Raid10, 3, 1, 1e12 / (6 * (10_000 / 3600.0)))]
    public void For_SixDisks_IsTheTextbookFormula(RaidLevel level, int capacity, int survives, double hours)
    {
        var row = ArrayAdvice.For(Disks).Single(row => row.Level == level);
        Assert.Equal(capacity * Disks.Bytes, row.CapacityBytes);
        Assert.Equal(survives, row.Survives);
        Assert.InRange(row.MeanYearsToDataLoss * 8766 / hours, 0.999, 1.001);
    }

    [Fact]
    public void For_LargeDisksWithUnreadableSectors_Raid5LosesMostOfItsWorth()
    {
        var large = Disks with { Bytes = 20_000_000_000_000, UnreadableBitRate = 1e-14 };
        var (five, six) = (ArrayAdvice.For(large).Single(row => row.Level == RaidLevel.Raid5), ArrayAdvice.For(large).Single(row => row.Level == RaidLevel.Raid6));
        Assert.InRange(five.RebuildReadError, 0.999, 1);
        Assert.True(six.MeanYearsToDataLoss > 100 * five.MeanYearsToDataLoss);
    }

    [Fact]
    public void For_ThreeDisks_LeavesOutWhatTheyCannotForm() =>
        Assert.Equal([RaidLevel.Raid0, RaidLevel.Raid1, RaidLevel.Raid5], ArrayAdvice.For(Disks with { Count = 3 }).Select(row => row.Level));
}
