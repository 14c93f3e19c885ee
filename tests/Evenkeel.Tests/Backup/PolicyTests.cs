using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class PolicyTests
{
    private static readonly DateTimeOffset Newest = new(2026, 3, 1, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Decide_KeepDailyAndWeekly_KeepsTheNewestOfEachAndSaysWhy()
    {
        var hourly = Enumerable.Range(0, 24 * 30).Select(h => At(Newest.AddHours(-h))).ToList();
        var kept = new RetentionPolicy(Daily: 3, Weekly: 2).Decide(hourly).Where(d => d.Keep).ToList();

        // 1 March 2026 is a Sunday: the last day of its week, so the week before ended on 22 February.
        Assert.Equal(
            [Newest, new(2026, 2, 28, 23, 0, 0, TimeSpan.Zero), new(2026, 2, 27, 23, 0, 0, TimeSpan.Zero), new(2026, 2, 22, 23, 0, 0, TimeSpan.Zero)],
            kept.Select(d => d.Snapshot.When));
        Assert.Equal(["daily 2026-03-01 (1 of 3)", "weekly 2026-W09 (1 of 2)"], kept[0].Reasons);
        Assert.Equal(["weekly 2026-W08 (2 of 2)"], kept[3].Reasons);
    }

    [Fact]
    public void Decide_Within_CountsFromTheNewestNotFromToday()
    {
        var decisions = new RetentionPolicy(Within: TimeSpan.FromDays(1)).Decide([At(Newest), At(Newest.AddHours(-24)), At(Newest.AddHours(-25))]);
        Assert.Equal([true, true, false], decisions.Select(d => d.Keep));
    }

    [Fact]
    public void Decide_NoRule_KeepsEverything() => Assert.All(new RetentionPolicy().Decide([At(Newest), At(Newest.AddYears(-9))]), d => Assert.True(d.Keep));

    [Fact]
    public void Decide_Last_TakesTwoOfTheSameMinute() =>
        Assert.Equal(2, new RetentionPolicy(Last: 2).Decide([At(Newest), At(Newest, 1), At(Newest, 2)]).Count(d => d.Keep));

    [Fact]
    public void ParentFor_Differential_IsTheLastFullOfThatMachineAndThosePaths()
    {
        var full = At(Newest.AddDays(-2)) with { Tags = ["full"] };
        var incremental = At(Newest.AddDays(-1)) with { Tags = ["incremental"] };
        var elsewhere = At(Newest) with { Tags = ["full"], Hostname = "other" };
        Snapshot[] all = [full, incremental, elsewhere];
        Assert.Same(full, BackupTags.ParentFor(BackupType.Differential, all, "h", ["/a"], Newest));
        Assert.Same(incremental, BackupTags.ParentFor(BackupType.Incremental, all, "h", ["/a"], Newest));
        Assert.Null(BackupTags.ParentFor(BackupType.Full, all, "h", ["/a"], Newest));
        Assert.Null(BackupTags.ParentFor(BackupType.Incremental, all, "h", ["/b"], Newest));
    }

    [Fact]
    public void ParentFor_SnapshotsFromTheFuture_AreNoParents() =>
        Assert.Null(BackupTags.ParentFor(BackupType.Incremental, [At(Newest.AddDays(1))], "h", ["/a"], Newest));

    [Theory]
    [InlineData("*.tmp", "/a/b.tmp", true)]
    [InlineData("*.tmp", "/a/b.tmp/c", false)]
    [InlineData("/a/*.tmp", "/a/b.tmp", true)]
    [InlineData("/a/*.tmp", "/x/a/b.tmp", false)]
    [InlineData("a/b", "/x/a/b", true)]
    [InlineData("/a/**/z", "/a/z", true)]
    [InlineData("/a/**/z", "/a/b/c/z", true)]
    [InlineData("**/cache", "/x/y/cache", true)]
    [InlineData("file[0-9]?", "/file1x", true)]
    [InlineData("file[0-9]?", "/filexx", false)]
    [InlineData("a.c", "/abc", false)]
    public void PathPatterns_Match_AsRestics(string pattern, string path, bool expected) =>
        Assert.Equal(expected, new PathPatterns([pattern]).Matches(path));

    [Fact]
    public void PathPatterns_Negated_TakesBack()
    {
        var patterns = new PathPatterns(["*.log", "!keep.log"]);
        Assert.True(patterns.Matches("/a.log"));
        Assert.False(patterns.Matches("/keep.log"));
    }

    private static Snapshot At(DateTimeOffset time, int salt = 0) => new()
    {
        Time = Timestamp.From(time).ToString(), Tree = ObjectId.Hash([1]).ToString(), Paths = ["/a"], Hostname = "h",
        Id = ObjectId.Hash(BitConverter.GetBytes(time.Ticks + salt)),
    };
}
