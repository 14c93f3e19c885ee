using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Advice;

/// <summary>The disks that advice is about.</summary>
/// <param name="Count">How many.</param>
/// <param name="Bytes">Bytes of the smallest.</param>
/// <param name="MeanTimeToFailure">Of one disk; an annual failure rate of r is 8766 hours / r.</param>
/// <param name="RebuildBytesPerSecond">What a rebuild writes to the new disk.</param>
/// <param name="UnreadableBitRate">Unreadable bits per bit read, as data sheets state it: 1e-14 to 1e-16.</param>
/// <param name="Replacement">Until a rebuild begins: zero with a hot spare.</param>
public sealed record DiskFacts(
    int Count, long Bytes, TimeSpan MeanTimeToFailure, double RebuildBytesPerSecond, double UnreadableBitRate, TimeSpan Replacement);

/// <summary>What a level gives on these disks.</summary>
/// <param name="Level">The level.</param>
/// <param name="CapacityBytes">What clients get.</param>
/// <param name="Survives">Disks that may be lost, whichever they are.</param>
/// <param name="Rebuild">How long a new disk takes to fill.</param>
/// <param name="RebuildReadError">The chance that a rebuild after the last survivable loss meets an unreadable sector.</param>
/// <param name="MeanYearsToDataLoss">By the model of <see cref="ArrayAdvice"/>.</param>
public sealed record LevelAdvice(RaidLevel Level, long CapacityBytes, int Survives, TimeSpan Rebuild, double RebuildReadError, double MeanYearsToDataLoss);

/// <summary>
/// Mean time to data loss by the usual chain of failures and repairs (Patterson, Gibson, Katz 1988; RAID 6 as in Chen et al. 1994), with
/// a sector that cannot be read while nothing else is left counted as a loss of data. Disks are taken to fail independently and at a
/// constant rate: those of one batch do not, so compare the numbers with each other and trust none by itself.
/// </summary>
public static class ArrayAdvice
{
    private const double HoursInYear = 8766;

    /// <summary>One row for each level that these disks can form.</summary>
    public static IReadOnlyList<LevelAdvice> For(DiskFacts disks)
    {
        if (disks.Count < 2 || disks.Bytes <= 0 || disks.RebuildBytesPerSecond <= 0 || disks.MeanTimeToFailure <= TimeSpan.Zero)
            throw new ArgumentException("Advice needs two disks or more, with a size, a rebuild rate and a time to failure above zero.");
        return [.. Enum.GetValues<RaidLevel>().Where(level => disks.Count >= ArrayGeometry.MinimumMembers(level)).Select(level => Of(level, disks))];
    }

    private static LevelAdvice Of(RaidLevel level, DiskFacts disks)
    {
        double count = disks.Count, mttf = disks.MeanTimeToFailure.TotalHours;
        var rebuild = TimeSpan.FromSeconds(disks.Bytes / disks.RebuildBytesPerSecond);
        var exposed = (rebuild + disks.Replacement).TotalHours;
        // The last rebuild before a loss reads this many disks whole.
        var read = level switch { RaidLevel.Raid5 => count - 1, RaidLevel.Raid6 => count - 2, RaidLevel.Raid0 => 0, _ => 1 };
        var error = Chance(read * disks.Bytes * 8 * disks.UnreadableBitRate);
        var hours = level switch
        {
            RaidLevel.Raid0 => mttf / count,
            RaidLevel.Raid1 => Chain(mttf, exposed, error, count, (int)count - 1),
            RaidLevel.Raid5 => Chain(mttf, exposed, error, count, 1),
            RaidLevel.Raid6 => Chain(mttf, exposed, error, count, 2),
            // Each disk has one partner whose loss would hurt.
            _ => mttf / (count * Math.Min(1, Second(exposed, mttf, 1, error))),
        };
        var capacity = level switch
        {
            RaidLevel.Raid0 => disks.Bytes * disks.Count, RaidLevel.Raid1 => disks.Bytes, RaidLevel.Raid5 => disks.Bytes * (disks.Count - 1),
            RaidLevel.Raid6 => disks.Bytes * (disks.Count - 2), _ => disks.Bytes / 2 * disks.Count,
        };
        var survives = level switch { RaidLevel.Raid0 => 0, RaidLevel.Raid1 => disks.Count - 1, RaidLevel.Raid6 => 2, _ => 1 };
        return new LevelAdvice(level, capacity, survives, level == RaidLevel.Raid0 ? TimeSpan.Zero : rebuild, error, hours / HoursInYear);
    }

    // The rate of first failures times the chance that each further one comes before the rebuild ends.
    private static double Chain(double mttf, double exposed, double error, double count, int survives)
    {
        var rate = count / mttf;
        for (var lost = 1; lost <= survives; lost++)
            rate *= Math.Min(1, Second(exposed, mttf, count - lost, lost == survives ? error : 0));
        return 1 / rate;
    }

    private static double Second(double exposed, double mttf, double left, double error) => Chance(exposed * left / mttf) + error;

    // 1 - e^-x, without losing the digits of a small x.
    private static double Chance(double x) => x < 1e-5 ? x - x * x / 2 : 1 - Math.Exp(-x);
}
