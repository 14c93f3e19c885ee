using Evenkeel.Backup.Policy;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Postgres;

/// <summary>How base backups and log segments of a server are told apart in a repository: by tags, which other tools show and keep.</summary>
public static class PostgresTags
{
    private const string Server = "postgres=";
    private const string Start = "wal-start=";
    private const string Stop = "wal-stop=";
    private const string Segment = "wal=";
    private const string End = "wal-end=";
    private const string Data = "data=";
    private const string Checksums = "checksums=";

    /// <summary>The tag of everything of a server.</summary>
    public static string OfServer(string name) => Server + name;

    /// <summary>The tag of a base backup: the first segment that its recovery reads.</summary>
    public static string OfStart(string segment) => Start + segment;

    /// <summary>The tag of a base backup: where in the log it becomes consistent.</summary>
    public static string OfStop(string position) => Stop + position;

    /// <summary>The tag of a base backup: the last segment, without its timeline, that it needs to be consistent.</summary>
    public static string OfEnd(string segment) => End + segment;

    /// <summary>The tag of a base backup that has tablespaces too: which of its paths is the server's directory.</summary>
    public static string OfData(string directory) => Data + directory;

    /// <summary>The tag of a base backup: whether its pages have checksums, as the server shows <c>data_checksums</c>.</summary>
    public static string OfChecksums(string setting) => Checksums + setting;

    /// <summary>The tag of an archived file.</summary>
    public static string OfSegment(string file) => Segment + file;

    /// <summary>The server's name; null for other backups.</summary>
    public static string? ServerOf(Snapshot snapshot) => Value(snapshot, Server);

    /// <summary>A base backup's first segment; null for all else.</summary>
    public static string? StartOf(Snapshot snapshot) => Value(snapshot, Start);

    /// <summary>Where a base backup becomes consistent; null for all else.</summary>
    public static string? StopOf(Snapshot snapshot) => Value(snapshot, Stop);

    /// <summary>The last segment that a base backup needs, without its timeline; null for all else.</summary>
    public static string? EndOf(Snapshot snapshot) => Value(snapshot, End);

    /// <summary>A base backup's path that is the server's directory; the others are its tablespaces.</summary>
    public static string DataOf(Snapshot snapshot) => Value(snapshot, Data) ?? snapshot.Paths[0];

    /// <summary>Whether a base backup's pages have checksums: <c>on</c> or <c>off</c>; null where that is not known.</summary>
    public static string? ChecksumsOf(Snapshot snapshot) => Value(snapshot, Checksums);

    /// <summary>An archived file's name; null for all else.</summary>
    public static string? SegmentOf(Snapshot snapshot) => Value(snapshot, Segment);

    /// <summary>
    /// What retention does with log segments once the base backups are decided: a segment stays while a kept base backup of its server
    /// needs it or any later state does, that is from the oldest kept base backup on. Timeline histories always stay; they are tiny.
    /// </summary>
    public static IReadOnlyList<RetentionDecision> Decide(IEnumerable<Snapshot> archived, IReadOnlyList<RetentionDecision> bases)
    {
        var oldest = bases.Where(d => d.Keep && ServerOf(d.Snapshot) is not null && StartOf(d.Snapshot) is not null)
            .GroupBy(d => ServerOf(d.Snapshot)!).ToDictionary(g => g.Key, g => g.Min(d => WalFile.Position(StartOf(d.Snapshot)!)));
        return [.. archived.Select(s =>
        {
            var file = SegmentOf(s)!;
            var known = oldest.TryGetValue(ServerOf(s) ?? "", out var first);
            return !known ? new RetentionDecision(s, ["no base backup is kept that tells whether it is needed"])
                : file.Length < 24 || WalFile.Position(file[..24]) >= first ? new RetentionDecision(s, ["needed from the oldest kept base backup on"])
                : new RetentionDecision(s, []);
        })];
    }

    private static string? Value(Snapshot snapshot, string prefix) =>
        snapshot.Tags?.FirstOrDefault(t => t.StartsWith(prefix, StringComparison.Ordinal))?[prefix.Length..];
}
