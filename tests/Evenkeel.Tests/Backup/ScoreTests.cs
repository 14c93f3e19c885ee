using Evenkeel.Backup.Policy;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class ScoreTests
{
    private static readonly DateTimeOffset Now = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly BackupCopy Near = new("near", "/mnt", false, false, Now.AddHours(-5), true);
    private static readonly BackupCopy Far = new("far", "server", true, true, Now.AddHours(-5), true);

    [Fact]
    public void Of_TwoGoodCopiesOneFarAndImmutable_IsFiveOfFive() => Assert.Equal([], Missing([Near, Far]));

    [Fact]
    public void Of_NoCopy_MeetsNothing() => Assert.Equal(["3 copies", "2 media", "1 off-site", "1 immutable", "0 errors"], Missing([]));

    [Fact]
    public void Of_AStaleCopy_CountsForNothing() =>
        Assert.Equal(["3 copies", "1 off-site", "1 immutable"], Missing([Near, Far with { Newest = Now.AddDays(-3) }]));

    [Fact]
    public void Of_ACopyOnTheOriginalsDisk_IsNoOtherMedium() =>
        Assert.Equal(["3 copies", "2 media", "1 off-site", "1 immutable"], Missing([Near with { Medium = "/" }]));

    [Fact]
    public void Of_AnUnprovenCopy_HasErrors() => Assert.Equal(["0 errors"], Missing([Near with { Proven = false }, Far]));

    private static IEnumerable<string> Missing(IReadOnlyList<BackupCopy> copies) =>
        BackupScore.Of("/", copies, Now, TimeSpan.FromDays(2)).Where(p => !p.Met).Select(p => p.Rule);
}
