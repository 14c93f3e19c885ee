using Evenkeel.Agent.Host.Backups;
using Evenkeel.Core.Backups;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Backups;

public sealed class BackupCalendarTests
{
    // A Sunday.
    private static readonly DateTimeOffset Start = new(2026, 3, 1, 10, 0, 0, TimeSpan.Zero);
    private static readonly BackupJob Job = new("files", BackupCluster.Job("files") with
    {
        Schedules = new Dictionary<BackupTask, string>
        {
            [BackupTask.Full] = "weekly on sunday at 03:00", [BackupTask.Incremental] = "every 15 minutes", [BackupTask.Verify] = "monthly",
        },
    }, []);

    [Fact]
    public void Due_BetweenTwoMoments_IsNothing() => Assert.Empty(Due(Start, Start.AddMinutes(14)));

    [Fact]
    public void Due_AfterAMoment_IsThatMoment() => Assert.Equal([(BackupTask.Incremental, Start.AddMinutes(15))], Due(Start, Start.AddMinutes(15)));

    [Fact]
    public void Due_AfterAWeekOfDowntime_IsEachTaskOnce_AtItsLatestMoment() =>
        Assert.Equal([(BackupTask.Full, Start.AddDays(14).AddHours(-7)), (BackupTask.Incremental, Start.AddDays(14).AddMinutes(45))], Due(Start, Start.AddDays(14).AddMinutes(50)));

    [Fact]
    public void Due_AfterYears_IsFoundWithoutCountingThemAll() =>
        Assert.Equal([BackupTask.Full, BackupTask.Incremental, BackupTask.Verify], Due(Start, Start.AddYears(3)).Select(due => due.Task));

    [Fact]
    public void Due_WhenDone_IsNothing()
    {
        var record = new BackupRecord("files", 1) { Since = Start.ToUnixTimeSeconds() };
        var now = Start.AddDays(14);
        foreach (var due in BackupCalendar.Due(Job, record, now).ToList()) record = record with { Done = record.Done.SetItem(due.Task, due.Moment) };
        Assert.Empty(BackupCalendar.Due(Job, record, now));
    }

    [Fact]
    public void Next_IsTheFirstThatBacksSomethingUp_InTheJobsOwnZone()
    {
        Assert.Equal((BackupTask.Incremental, Start.AddMinutes(15)), BackupCalendar.Next(Job.Spec, Start));
        var daily = Job.Spec with { Schedules = new Dictionary<BackupTask, string> { [BackupTask.Full] = "daily at 02:30", [BackupTask.Verify] = "every 5 minutes" }, TimeZone = "Europe/Berlin" };
        Assert.Equal(new DateTimeOffset(2026, 3, 2, 1, 30, 0, TimeSpan.Zero), BackupCalendar.Next(daily, Start)!.Value.Moment);
    }

    private static IEnumerable<(BackupTask Task, DateTimeOffset Moment)> Due(DateTimeOffset since, DateTimeOffset now) =>
        BackupCalendar.Due(Job, new BackupRecord("files", 1) { Since = since.ToUnixTimeSeconds() }, now)
            .OrderBy(due => due.Task).Select(due => (due.Task, DateTimeOffset.FromUnixTimeSeconds(due.Moment)));
}
