namespace Evenkeel.Agent.Trust;

/// <summary>
/// How the guards' key is changed while they go on renewing leases with it: the new key is first one that every guard opens with, then the
/// one that seals, and only when every guard seals with it the old one is dropped. At each step two guards understand each other,
/// whichever of them has come further.
/// </summary>
internal static class GuardKeyPlan
{
    /// <summary>A key is used for a week: often enough that its change is no event.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromDays(7);

    /// <summary>The next ring; null while there is nothing to do, or somebody is not as far yet.</summary>
    /// <param name="reports">Of the nodes that live. One that does not live reads the ring before its guard is configured; what holds a lease lives.</param>
    public static GuardKeyRing? Next(GuardKeyRing ring, IReadOnlyCollection<TrustReport> reports, DateTimeOffset now, Func<byte[]> newKey)
    {
        // A guard of an earlier version has not said what it has: it would seal with the newest key at once.
        bool All(Func<TrustReport, bool> through) => reports.Count > 0 && reports.All(through);
        bool HasAll(TrustReport report) => ring.Keys.Keys.Order().SequenceEqual(report.GuardKeys.Order());
        var newest = ring.Keys.Keys.Max();
        if (ring.Keys.Count == 1)
        {
            var due = ring.Unwanted == ring.Seals || now - ring.Since >= Period;
            return due && All(report => HasAll(report) && report.GuardSeals == ring.Seals) ? ring with { Keys = new Dictionary<int, byte[]>(ring.Keys) { [newest + 1] = newKey() } } : null;
        }

        return ring.Seals != newest
            ? All(HasAll) ? ring with { Seals = newest, Since = now } : null
            : All(report => report.GuardSeals == newest) ? ring with { Keys = new Dictionary<int, byte[]> { [newest] = ring.Keys[newest] }, Unwanted = ring.Unwanted == newest ? newest : 0 } : null;
    }
}
