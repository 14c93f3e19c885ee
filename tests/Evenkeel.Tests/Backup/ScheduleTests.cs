using System.Globalization;
using Evenkeel.Backup.Policy;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class ScheduleTests
{
    private static readonly TimeZoneInfo Utc = TimeZoneInfo.Utc;

    // 2026-03-01 is a Sunday.
    [Theory]
    [InlineData("hourly", "2026-03-01 11:00")]
    [InlineData("daily", "2026-03-02 00:00")]
    [InlineData("daily at 02:30", "2026-03-02 02:30")]
    [InlineData("Daily at 6:00, 18:00", "2026-03-01 18:00")]
    [InlineData("weekdays at 22:00", "2026-03-02 22:00")]
    [InlineData("weekly", "2026-03-08 00:00")]
    [InlineData("weekly on sunday at 23:15", "2026-03-01 23:15")]
    [InlineData("weekly on wednesday", "2026-03-04 00:00")]
    [InlineData("monthly on 15 at 04:00", "2026-03-15 04:00")]
    [InlineData("monthly on last at 04:00", "2026-03-31 04:00")]
    [InlineData("yearly", "2027-01-01 00:00")]
    [InlineData("every 15 minutes", "2026-03-01 10:30")]
    [InlineData("every 6 hours", "2026-03-01 12:00")]
    [InlineData("30 2 * * 1-5", "2026-03-02 02:30")]
    [InlineData("0 0 29 2 *", "2028-02-29 00:00")]
    [InlineData("0 12 13 * fri", "2026-03-06 12:00")] // the 13th or a Friday, as cron has it
    [InlineData("5,35 8-10/2 * jan,mar *", "2026-03-01 10:35")]
    public void Next_After1020OnASunday_Is(string text, string expected) =>
        Assert.Equal(expected, Schedule.Parse(text).Next(new(2026, 3, 1, 10, 20, 0, TimeSpan.Zero), Utc)!.Value.ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture));

    [Theory]
    [InlineData("")]
    [InlineData("sometimes")]
    [InlineData("daily at 25:00")]
    [InlineData("weekly on 3")]
    [InlineData("monthly on 31")]
    [InlineData("every 7 minutes")]
    [InlineData("60 * * * *")]
    [InlineData("* * * *")]
    [InlineData("5-1 * * * *")]
    [InlineData("*/0 * * * *")]
    public void Parse_Nonsense_Fails(string text) => Assert.Throws<FormatException>(() => Schedule.Parse(text));

    [Fact]
    public void Next_ThatNeverComes_IsNull() => Assert.Null(Schedule.Parse("0 0 30 2 *").Next(DateTimeOffset.UnixEpoch, Utc));

    [Fact]
    public void Next_WhereClocksChange_RunsOnceADay()
    {
        // Central Europe by its rule: an hour forward on the last Sunday of March at 2:00, back in October at 3:00.
        var rule = TimeZoneInfo.AdjustmentRule.CreateAdjustmentRule(DateTime.MinValue.Date, DateTime.MaxValue.Date, TimeSpan.FromHours(1),
            TimeZoneInfo.TransitionTime.CreateFloatingDateRule(new DateTime(1, 1, 1, 2, 0, 0), 3, 5, DayOfWeek.Sunday),
            TimeZoneInfo.TransitionTime.CreateFloatingDateRule(new DateTime(1, 1, 1, 3, 0, 0), 10, 5, DayOfWeek.Sunday));
        var zone = TimeZoneInfo.CreateCustomTimeZone("test", TimeSpan.FromHours(1), "test", "test", "summer", [rule]);
        var schedule = Schedule.Parse("daily at 02:30");
        foreach (var (from, expected) in new[] { ("2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"), ("2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z") })
        {
            var next = schedule.Next(DateTimeOffset.Parse(from, CultureInfo.InvariantCulture), zone)!.Value;
            Assert.Equal(DateTimeOffset.Parse(expected, CultureInfo.InvariantCulture), next);
            Assert.True(schedule.Next(next, zone) - next > TimeSpan.FromHours(20), "it ran twice");
        }
    }
}
