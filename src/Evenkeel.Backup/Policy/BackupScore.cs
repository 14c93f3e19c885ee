namespace Evenkeel.Backup.Policy;

/// <summary>A copy of a protected thing.</summary>
/// <param name="Place">The repository.</param>
/// <param name="Medium">What it would be lost with: a disk, a server.</param>
/// <param name="OffSite">Whether it survives the site.</param>
/// <param name="Immutable">Whether nobody at the site can change it: append-only with the password elsewhere, or offline.</param>
/// <param name="Newest">Its newest snapshot; null without one.</param>
/// <param name="Proven">Whether it was verified lately without a problem, and nothing failed since.</param>
public sealed record BackupCopy(string Place, string Medium, bool OffSite, bool Immutable, DateTimeOffset? Newest, bool Proven);

/// <summary>One of the five rules.</summary>
/// <param name="Rule"><c>3 copies</c>, <c>2 media</c>, <c>1 off-site</c>, <c>1 immutable</c>, <c>0 errors</c>.</param>
/// <param name="Met">Whether it holds.</param>
/// <param name="Detail">What was found, or what is missing.</param>
public sealed record ScorePart(string Rule, bool Met, string Detail);

/// <summary>3-2-1-1-0: three copies (the original counts), on two media, one off-site, one immutable or offline, no errors when proven.</summary>
public static class BackupScore
{
    /// <summary>A verification older than this proves nothing any more.</summary>
    public static readonly TimeSpan ProofLasts = TimeSpan.FromDays(30);

    /// <summary>Scores a thing; copies whose newest snapshot is older than <paramref name="longestAge"/> do not count.</summary>
    public static IReadOnlyList<ScorePart> Of(string originalMedium, IReadOnlyList<BackupCopy> copies, DateTimeOffset now, TimeSpan longestAge)
    {
        var current = copies.Where(c => c.Newest is { } newest && now - newest <= longestAge).ToList();
        var stale = copies.Except(current).Select(c => $"{c.Place} is {(c.Newest is null ? "empty" : "out of date")}").ToList();
        var media = current.Select(c => c.Medium).Append(originalMedium).Distinct().Count();
        var unproven = current.Where(c => !c.Proven).Select(c => c.Place).ToList();
        return
        [
            new("3 copies", current.Count >= 2, string.Join(", ", stale.Prepend($"{current.Count + 1} with the original"))),
            new("2 media", media >= 2, $"{media}"),
            Any("1 off-site", current.Find(c => c.OffSite), "no copy survives this site"),
            Any("1 immutable", current.Find(c => c.Immutable), "every copy can be removed from here"),
            new("0 errors", current.Count > 0 && unproven.Count == 0, current.Count == 0 ? "no copy"
                : unproven.Count == 0 ? "all verified" : $"not verified within {ProofLasts.TotalDays} days, or with errors: {string.Join(", ", unproven)}"),
        ];
    }

    private static ScorePart Any(string rule, BackupCopy? copy, string missing) => new(rule, copy is not null, copy?.Place ?? missing);
}
