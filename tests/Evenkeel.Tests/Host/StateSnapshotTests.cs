using Evenkeel.Agent.Setup;
using Evenkeel.Tests.Store;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>What a node keeps for the day on which the store is lost.</summary>
public sealed class StateSnapshotTests : IDisposable
{
    private readonly DirectoryInfo place = TestDirectory.InMemory("evenkeel-snapshots-");

    public void Dispose() => place.Delete(recursive: true);

    [Fact]
    public void Prune_KeepsTheNewestOfItsOwn_AndLeavesAnOperatorsFilesAlone()
    {
        var first = new DateTimeOffset(2026, 1, 31, 20, 0, 0, TimeSpan.Zero);
        var files = Enumerable.Range(0, StateSnapshots.Kept + 3).Select(hour => StateSnapshots.NewFile(place.FullName, first.AddHours(hour))).ToList();
        var mine = Path.Combine(Path.GetDirectoryName(files[0])!, "before-the-upgrade.db");
        foreach (var file in files.Append(mine)) File.WriteAllText(file, "");
        StateSnapshots.Prune(place.FullName);
        File.SetLastWriteTimeUtc(files[^1], first.UtcDateTime);
        Assert.Equal(first, StateSnapshots.Newest(place.FullName));
        Assert.Equal(files.Skip(3).Append(mine).Order(), Directory.GetFiles(Path.GetDirectoryName(mine)!).Order());
    }

    [Fact]
    public void List_SaysWhichAreNotUsable()
    {
        Assert.Empty(StateSnapshots.List(place.FullName));
        Assert.Null(StateSnapshots.Newest(place.FullName));
        File.WriteAllText(StateSnapshots.NewFile(place.FullName, DateTimeOffset.UtcNow), "half");
        Assert.Contains("cut short", Assert.Single(StateSnapshots.List(place.FullName)).Problem, StringComparison.Ordinal);
    }

    [Fact]
    public void Keep_Incarnation_NeverGoesBack()
    {
        Assert.Equal(0, IncarnationMemory.Highest(place.FullName));
        IncarnationMemory.Keep(place.FullName, 3);
        IncarnationMemory.Keep(place.FullName, 2);
        Assert.Equal(3, IncarnationMemory.Highest(place.FullName));
        File.WriteAllText(Path.Combine(place.FullName, "incarnation"), "spoilt");
        Assert.Throws<InvalidDataException>(() => IncarnationMemory.Highest(place.FullName));
    }
}
