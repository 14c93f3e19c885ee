using System.Globalization;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Policy;

/// <summary>
/// Grandfather-father-son: how many of the newest hours, days, weeks, months and years keep their newest snapshot.
/// </summary>
/// <param name="Last">The newest this many snapshots.</param>
/// <param name="Hourly">Hours.</param>
/// <param name="Daily">Days.</param>
/// <param name="Weekly">ISO 8601 weeks.</param>
/// <param name="Monthly">Months.</param>
/// <param name="Yearly">Years.</param>
/// <param name="Within">Everything that is younger than this, counted from the newest snapshot.</param>
/// <param name="TrustTimes">Whether snapshots are as old as they say, although the place that keeps them says otherwise.</param>
public sealed record RetentionPolicy(
    int Last = 0, int Hourly = 0, int Daily = 0, int Weekly = 0, int Monthly = 0, int Yearly = 0, TimeSpan? Within = null,
    bool TrustTimes = false)
{
    /// <summary>How far a snapshot's own time may be from its arrival, which a long backup or a slow line explains.</summary>
    public static readonly TimeSpan Plausible = TimeSpan.FromDays(2);


    /// <summary>Whether no rule keeps anything: then nothing may be removed, for it was surely forgotten.</summary>
    public bool IsEmpty => Last <= 0 && Hourly <= 0 && Daily <= 0 && Weekly <= 0 && Monthly <= 0 && Yearly <= 0 && Within is null;

    /// <summary>Decides for snapshots of one machine and one set of paths, newest first, with the reason for each. Periods are those of each
    /// snapshot's own clock. With an empty policy everything is kept. A snapshot that a kept one was built on is not needed for
    /// restoring: each snapshot is complete.
    /// Where the place stamps arrivals, periods go by them, and a snapshot whose own time is not plausible is held and counts for
    /// nothing: whoever holds a machine's credentials could else write backdated or future snapshots that push good ones out.</summary>
    public IReadOnlyList<RetentionDecision> Decide(IEnumerable<Snapshot> snapshots)
    {
        var ordered = snapshots.OrderByDescending(Moment).ToList();
        if (IsEmpty)
        {
            return [.. ordered.Select(s => new RetentionDecision(s, ["no rule is given"]))];
        }
        var rules = new[]
        {
            new Bucket("last", Last, s => s.Id.ToString()),
            new Bucket("hourly", Hourly, s => Local(s).ToString("yyyy-MM-dd HH", CultureInfo.InvariantCulture)),
            new Bucket("daily", Daily, s => Local(s).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture)),
            new Bucket("weekly", Weekly, s => string.Create(CultureInfo.InvariantCulture, $"{ISOWeek.GetYear(Local(s))}-W{ISOWeek.GetWeekOfYear(Local(s)):D2}")),
            new Bucket("monthly", Monthly, s => Local(s).ToString("yyyy-MM", CultureInfo.InvariantCulture)),
            new Bucket("yearly", Yearly, s => Local(s).ToString("yyyy", CultureInfo.InvariantCulture)),
        };
        var decisions = new List<RetentionDecision>();
        var newest = ordered.Where(s => !IsImplausible(s)).Select(Moment).FirstOrDefault();
        foreach (var snapshot in ordered)
        {
            if (IsImplausible(snapshot))
            {
                decisions.Add(new RetentionDecision(snapshot, [string.Create(CultureInfo.InvariantCulture,
                    $"held: it says {snapshot.When.UtcDateTime:yyyy-MM-dd} but arrived {snapshot.Arrived!.Value.UtcDateTime:yyyy-MM-dd}")]));
                continue;
            }
            var reasons = rules.Select(r => r.Take(snapshot)).OfType<string>().ToList();
            if (Within is { } within && newest - Moment(snapshot) <= within)
            {
                reasons.Add($"within {within.TotalDays:0.##} days of the newest");
            }
            decisions.Add(new RetentionDecision(snapshot, reasons));
        }
        return decisions;
    }

    private bool IsImplausible(Snapshot s) => !TrustTimes && s.Arrived is { } arrived && (arrived - s.When).Duration() > Plausible;

    private DateTimeOffset Moment(Snapshot s) => TrustTimes || IsImplausible(s) ? s.When : s.Arrived ?? s.When;

    // A day is the machine's own day.
    private DateTime Local(Snapshot snapshot) => Timestamp.TryParse(snapshot.Time, out var time)
        ? Moment(snapshot).UtcDateTime.AddMinutes(time.OffsetMinutes) : Moment(snapshot).UtcDateTime;

    private sealed class Bucket(string name, int count, Func<Snapshot, string> period)
    {
        private int _taken;
        private string? _current;

        public string? Take(Snapshot snapshot)
        {
            var key = period(snapshot);
            if (_taken >= count || key == _current)
            {
                return null;
            }
            _current = key;
            _taken++;
            return name == "last" ? $"last ({_taken} of {count})" : $"{name} {key} ({_taken} of {count})";
        }
    }
}

/// <summary>What retention does with a snapshot, and why.</summary>
/// <param name="Snapshot">Which.</param>
/// <param name="Reasons">The rules that keep it; none means that it goes.</param>
public sealed record RetentionDecision(Snapshot Snapshot, IReadOnlyList<string> Reasons)
{
    /// <summary>Whether some rule keeps it.</summary>
    public bool Keep => Reasons.Count > 0;
}
