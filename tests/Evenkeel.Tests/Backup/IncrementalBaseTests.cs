using Evenkeel.Backup;
using Evenkeel.Backup.Engine;
using Evenkeel.Backup.Postgres;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;
using Xunit;

namespace Evenkeel.Tests.Backup;

/// <summary>What an incremental base backup of PostgreSQL takes over is decided by these, and a wrong yes is a wrong backup.</summary>
public sealed class IncrementalBaseTests
{
    private const long Page = 8192;
    private const long Block = 65536;
    private const long Segment = 1L << 30;
    private static readonly ObjectId[] s_ids = [.. Enumerable.Range(0, 8).Select(i => ObjectId.Hash([(byte)i]))];

    [Theory]
    [InlineData("base/5/1259", 5, 1259, 0), InlineData("base/5/16384.12", 5, 16384, 12), InlineData("global/1262", 0, 1262, 0), InlineData("PG_17_202406281/16385/16390.1", 16385, 16390, 1)]
    public void Parse_AFileOfARelation_SaysWhich(string path, int database, int relation, int segment) =>
        Assert.Equal(new RelationFile((uint)database, (uint)relation, (uint)segment), RelationFile.Parse(path));

    [Theory]
    [InlineData("base/5/1259_fsm"), InlineData("base/5/1259_vm.1"), InlineData("base/5/1259_init"), InlineData("base/5/t3_16384"), InlineData("base/5/PG_VERSION"), InlineData("base/5/pg_filenode.map")]
    [InlineData("base/1259"), InlineData("global/5/1259"), InlineData("global/pg_control"), InlineData("pg_xact/0000"), InlineData("pg_multixact/members/0000"), InlineData("PG_VERSION")]
    [InlineData("base/5/4294967296"), InlineData("base/5/12.99999999999"), InlineData("base/5/1259\n"), InlineData("x/base/5/1259"), InlineData("base/5/1259."), InlineData("")]
    public void Parse_AnythingElse_IsNone(string path) => Assert.Null(RelationFile.Parse(path));

    [Fact]
    public void Of_BlocksThatTheLogNames_AreThoseThatChanged()
    {
        var changes = Changes("1663|5|16384|-1|{[0,1),[7,9),[16385,16386)}");
        var file = changes.Of(1663, new RelationFile(5, 16384, 0))!;
        Assert.Equal([0, 7, 8], Enumerable.Range(0, 12).Where(i => file.Any(i * Block, (i + 1) * Block)));
        Assert.False(file.Any(Block, 7 * Block));
        Assert.True(file.Any(Block, (7 * Block) + 1));
        var next = changes.Of(1663, new RelationFile(5, 16384, 1))!;
        Assert.Equal([1], Enumerable.Range(0, 12).Where(i => next.Any(i * Block, (i + 1) * Block)));

        Assert.False(changes.Of(1663, new RelationFile(5, 16385, 0))!.Any(0, Segment));
        Assert.False(changes.Of(1663, new RelationFile(6, 16384, 0))!.Any(0, Segment));
        Assert.False(changes.Of(16400, new RelationFile(5, 16384, 0))!.Any(0, Segment));
    }

    [Fact]
    public void Of_ARelationThatWasCutShort_ChangedFromThereOn()
    {
        var file = Changes("1663|5|16384|12|{}").Of(1663, new RelationFile(5, 16384, 0))!;
        Assert.False(file.Any(0, 12 * Page));
        Assert.True(file.Any(11 * Page, 13 * Page));
        Assert.True(file.Any(20 * Block, 21 * Block));
        Assert.True(Changes("1663|5|16384|12|{}").Of(1663, new RelationFile(5, 16384, 1))!.Any(0, Page));
        Assert.True(Changes("1663|5|16384|0|{}").Of(1663, new RelationFile(5, 16384, 0))!.Any(0, Page));
    }

    [Fact]
    public void Of_ADatabaseThatWasMadeAnew_ChangedAsAWhole()
    {
        var changes = Changes("1663|5|0|0|{}", "1663|5|16384|-1|{[3,4)}");
        Assert.Null(changes.Of(1663, new RelationFile(5, 16384, 0)));
        Assert.Null(changes.Of(1663, new RelationFile(5, 999, 0)));
        Assert.NotNull(changes.Of(1663, new RelationFile(6, 999, 0)));
        Assert.NotNull(changes.Of(1700, new RelationFile(5, 999, 0)));
    }

    [Theory]
    [InlineData(""), InlineData("1663|5|16384|-1"), InlineData("1663|5|16384|-1|"), InlineData("1663|5|16384|-2|{}"), InlineData("-1|5|16384|-1|{}"), InlineData("1663|5|16384|-1|{[4,4)}"), InlineData("1663|5|16384|-1|{[4,x)}")]
    [InlineData("1663|5|16384|-1|{[4,)}"), InlineData("1663|5|16384|-1|{[4,5),[3,4)}"), InlineData("1663|5|16384|-1|{[4,9000000000000000000)}"), InlineData("1663|5|16384|-1|{[4,5)}|6"), InlineData("1663|5|4294967296|-1|{}"), InlineData("ERROR: no")]
    public void Parse_ALineThatNamesNoBlocks_IsRefused(string line) =>
        Assert.Contains("names no changed blocks", Assert.Throws<RepositoryException>(() => Changes(line)).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_ARelationTwice_IsRefused() => Assert.Throws<RepositoryException>(() => Changes("1|2|3|-1|{}", "1|2|3|-1|{}"));

    [Fact]
    public void At_WhatDidNotChange_IsTakenOver() => Assert.Equal([0, 1, 2], TakenOver(3 * Block, 3 * Block));

    [Fact]
    public void At_BlocksThatChanged_AreRead() => Assert.Equal([0, 2], TakenOver(3 * Block, 3 * Block, Block + 5));

    [Fact]
    public void At_AFileThatGrew_TheLastShortBlockAndTheNewOnesAreRead()
    {
        Assert.Equal([0], TakenOver(Block + Page, Block + (2 * Page)));
        Assert.Equal([0], TakenOver(Block + Page, 4 * Block));
        Assert.Equal([0, 1], TakenOver(2 * Block, 4 * Block));
    }

    [Fact]
    public void At_AFileThatWasCutShort_TheBlockAtItsEndIsRead()
    {
        Assert.Equal([0], TakenOver(4 * Block, Block + Page));
        Assert.Equal([0], TakenOver(4 * Block, Block));
        Assert.Empty(TakenOver(4 * Block, Page));
        Assert.Empty(TakenOver(4 * Block, 0));
    }

    [Fact]
    public void At_TheLastShortBlock_OfAnUnchangedFile_IsTakenOver() => Assert.Equal([0, 1], TakenOver(Block + Page, Block + Page));

    [Fact]
    public void At_AFileThatWasCutByItsContent_IsReadAsAWhole() =>
        Assert.Null(new TakenOverChunks(Old(5 * Block, chunks: 2), 5 * Block, new Changed(-1), _ => true).At(0));

    [Fact]
    public void At_AChunkThatTheRepositoryLost_IsReadAgain() =>
        Assert.Equal([0, 2], Enumerable.Range(0, 3).Where(new Func<int, bool>(i => new TakenOverChunks(Old(3 * Block), 3 * Block, new Changed(-1), id => id != s_ids[1]).At(i) is not null)));

    [Fact]
    public void FirstMissing_SummariesWithoutAGap_IsNone()
    {
        Assert.Null(WalSummaries.FirstMissing([(10, 20), (20, 30)], 12, 30));
        Assert.Null(WalSummaries.FirstMissing([(10, 25), (20, 40)], 10, 30));
    }

    [Fact]
    public void FirstMissing_AGap_IsWhereItBegins()
    {
        Assert.Equal(12UL, WalSummaries.FirstMissing([], 12, 30));
        Assert.Equal(12UL, WalSummaries.FirstMissing([(13, 30)], 12, 30));
        Assert.Equal(20UL, WalSummaries.FirstMissing([(10, 20), (21, 30)], 12, 30));
        Assert.Equal(29UL, WalSummaries.FirstMissing([(10, 20), (20, 29)], 12, 30));
    }

    [Fact]
    public void Label_AsPostgresWritesIt_SaysWhereTheBackupBegins()
    {
        var label = BackupLabel.Parse("START WAL LOCATION: 1/A000028 (file 00000002000000010000000A)\nCHECKPOINT LOCATION: 1/A000080\nBACKUP METHOD: streamed\nBACKUP FROM: primary\nSTART TIME: 2026-03-01 12:00:00 UTC\nLABEL: evenkeel\nSTART TIMELINE: 2\n");
        Assert.Equal(new BackupLabel("00000002000000010000000A", 0x1_0A00_0028, 2), label);
        Assert.Equal("1/A000028", LogPosition.Write(label.Start));
    }

    [Theory, InlineData(""), InlineData("START WAL LOCATION: 1/A000028\nSTART TIMELINE: 2\n"), InlineData("START WAL LOCATION: 1/A000028 (file 00000002000000010000000A)\nSTART TIMELINE: 99999999999\n")]
    public void Label_ThatSaysNoPlace_IsRefused(string text) => Assert.Throws<RepositoryException>(() => BackupLabel.Parse(text));

    [Fact]
    public void WhyNot_SaysWhatIsAnother()
    {
        var earlier = new EarlierBase(Base("2026-03-01T00:00:00Z", "full"), 77, new BackupLabel("000000010000000000000002", 100, 1), 200);
        Assert.Null(earlier.WhyNot(77, "on", 1, 200));
        Assert.Contains("of another server", earlier.WhyNot(78, "on", 1, 300), StringComparison.Ordinal);
        Assert.Contains("data_checksums was on, and now it is off", earlier.WhyNot(77, "off", 1, 300), StringComparison.Ordinal);
        Assert.Contains("on timeline 1, and the server is on 2", earlier.WhyNot(77, "on", 2, 300), StringComparison.Ordinal);
        Assert.Contains("goes up to 0/C8", earlier.WhyNot(77, "on", 1, 199), StringComparison.Ordinal);
        var before = earlier with { Snapshot = earlier.Snapshot with { Tags = [.. earlier.Snapshot.Tags!.Where(t => t != PostgresTags.OfChecksums("on"))] } };
        Assert.Contains("data_checksums was not noted", before.WhyNot(77, "on", 1, 300), StringComparison.Ordinal);
    }

    [Fact]
    public void Choose_TakesTheNewestOfTheServer_AndForADifferentialTheNewestThatReadEverything()
    {
        var (full, incremental) = (Base("2026-03-01T00:00:00Z", "full"), Base("2026-03-02T00:00:00Z", "incremental"));
        Snapshot[] all =
        [
            full, incremental, Base("2026-03-03T00:00:00Z", "full", server: "other"), Base("2026-03-03T00:00:00Z", "full", directory: "/srv/elsewhere"), Base("2027-01-01T00:00:00Z", "full"),
            full with { Time = "2026-03-03T00:00:00Z", Tags = [PostgresTags.OfServer("main"), PostgresTags.OfSegment("000000010000000000000002")] },
        ];
        var now = new DateTimeOffset(2026, 4, 1, 0, 0, 0, TimeSpan.Zero);
        Assert.Same(incremental, EarlierBase.Choose(BackupType.Incremental, all, "main", "/srv/db", now));
        Assert.Same(full, EarlierBase.Choose(BackupType.Differential, all, "main", "/srv/db", now));
        Assert.Null(EarlierBase.Choose(BackupType.Incremental, all, "none", "/srv/db", now));
    }

    private static Snapshot Base(string time, string type, string server = "main", string directory = "/srv/db") => new()
    {
        Time = time, Tree = new string('0', 64), Paths = [directory], Hostname = server,
        Tags = [type, PostgresTags.OfServer(server), PostgresTags.OfStart("000000010000000000000002"), PostgresTags.OfStop("0/C8"), PostgresTags.OfChecksums("on")],
    };

    private static ChangedBlocks Changes(params string[] lines) => ChangedBlocks.Parse(lines, Page, Block, Segment);

    private static IEnumerable<int> TakenOver(long before, long now, long changed = -1)
    {
        var chunks = new TakenOverChunks(Old(before), now, new Changed(changed), _ => true);
        return Enumerable.Range(0, s_ids.Length).Where(i => chunks.At(i) is { } id && id == s_ids[i]);
    }

    private static Node Old(long size, int? chunks = null) => new()
    {
        Name = "16384"u8.ToArray(), Kind = NodeKind.File, Size = (ulong)size, Content = s_ids[..(chunks ?? (int)((size + Block - 1) / Block))],
    };

    /// <summary>One byte changed; none for -1.</summary>
    private sealed class Changed(long at) : IChangedBytes
    {
        public bool Any(long from, long to) => from <= at && at < to;
    }
}
