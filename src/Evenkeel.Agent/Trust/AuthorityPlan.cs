using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Trust;

/// <param name="Node">Who has not come as far as the phase asks.</param>
/// <param name="Lacks">What it still has to do, in words that follow its name.</param>
internal sealed record Laggard(NodeName Node, string Lacks);

/// <summary>
/// How one certificate authority takes another's place without a moment in which two nodes do not accept each other: first everybody
/// trusts both, then everybody gets a certificate of the new one, then the old one is dropped. A phase begins when every node that has
/// a certificate has reported that the one before is done. Rejected: going on without nodes that do not answer; they would be strangers
/// when they come back.
/// </summary>
internal static class AuthorityPlan
{
    /// <summary>Who keeps the next phase from beginning; once settled, who has not dropped the old authority yet.</summary>
    /// <param name="members">Every node that has a certificate.</param>
    public static IReadOnlyList<Laggard> WaitsFor(AuthorityRecord record, IEnumerable<NodeName> members, IReadOnlyDictionary<NodeName, TrustReport> reports) =>
        [.. members.Order().Select(node => (Node: node, Lacks: Lacks(record, reports.GetValueOrDefault(node)))).Where(one => one.Lacks is not null).Select(one => new Laggard(one.Node, one.Lacks!))];

    /// <summary>The next phase, when its time has come; null while it has not, or when there is none.</summary>
    public static AuthorityRecord? Next(AuthorityRecord record, IEnumerable<NodeName> members, IReadOnlyDictionary<NodeName, TrustReport> reports)
    {
        // No members at all is a store that does not know them yet, not one in which all are through.
        var all = members.ToList();
        return record.Phase == AuthorityPhase.Settled || all.Count == 0 || WaitsFor(record, all, reports).Count > 0 ? null : After(record);
    }

    private static AuthorityRecord After(AuthorityRecord record) => record.Phase == AuthorityPhase.Trust
        ? record with { Issuing = record.Newest.Hash }
        : record with { Trusted = [record.Newest] };

    private static string? Lacks(AuthorityRecord record, TrustReport? report)
    {
        if (report is null)
        {
            return "has not said what it trusts (is its agent of this version, and does it run?)";
        }

        List<string> hashes = [.. record.Trusted.Select(one => one.Hash)];
        return record.Phase switch
        {
            AuthorityPhase.Trust when !hashes.All(report.Trusted.Contains) => "does not trust the new authority yet",
            AuthorityPhase.Trust when report.StoreTrusted is { } store && !hashes.All(store.Contains) => "has an etcd that does not trust the new authority yet: it is started anew when its turn comes",
            AuthorityPhase.Reissue when report.Issuer != record.Issuing => "has no certificate of the new authority yet",
            AuthorityPhase.Settled when !report.Trusted.SequenceEqual(hashes) => "trusts another authority too",
            AuthorityPhase.Settled when report.StoreTrusted is { } store && !store.SequenceEqual(hashes) => "has an etcd that trusts another authority too: it is started anew when its turn comes",
            _ => null,
        };
    }
}
