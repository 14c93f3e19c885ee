using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Replication;

/// <summary>
/// The next step of a sync set by quorum, (S, k): each acknowledged write is on the owner and on k of the standbys S. What commits
/// wait for, ANY a of L, must promise at least that at every moment: a - |L \ S| ≥ k. So a weaker promise (more standbys, or fewer
/// copies) is committed first and the setting follows; a stronger one (fewer standbys, or more copies) is in effect first, is proven,
/// and is committed then. (Rejected: both at once, as Patroni's transitions show, needs a setting for 'this and that'.)
/// </summary>
/// <param name="Required">What commits wait for until then: any <paramref name="Any"/> of these.</param>
/// <param name="Now">To be committed at once: a weaker promise. Null when there is none.</param>
/// <param name="Then">To be committed once the setting is proven. Null when the record is as it should be.</param>
internal sealed record QuorumStep(IReadOnlyList<NodeName> Required, int Any, SyncSet? Now, SyncSet? Then)
{
    /// <param name="byQuorum">The file asks for a quorum; else the set goes back to 'all of them'.</param>
    /// <param name="lost">Standbys of the set that commits must not rely on.</param>
    /// <param name="joining">Standbys that follow and are not in the set.</param>
    public static QuorumStep Of(ServiceSpec service, SyncSet mine, bool byQuorum, IReadOnlyList<NodeName> lost, IReadOnlyList<NodeName> joining)
    {
        var (standbys, copies) = (mine.Standbys, mine.Copies);
        var remaining = Sorted(standbys.Except(lost));
        var asItIs = new QuorumStep(Sorted(standbys), Copies(service, copies, standbys.Count), null, null);
        if (remaining.Count < copies)
            return asItIs with { Now = Set(mine, remaining, Math.Max(0, copies - lost.Count), $"lost: {string.Join(", ", lost)}") };
        var wanted = ((PostgreSqlDriverSpec)service.Driver).SynchronousStandbys;
        if (copies > wanted) return asItIs with { Now = Set(mine, standbys, wanted, "the file asks for fewer copies") };
        // All of a set that is not by quorum are waited for: those too many leave it one copy after the other.
        if (!byQuorum && remaining.Count > wanted && lost.Count == 0)
            return asItIs with { Now = Set(mine, [.. remaining.Take(wanted)], Math.Max(0, copies - (remaining.Count - wanted)), "no quorum any more") };
        if (byQuorum && joining.Count > 0) return asItIs with { Now = Set(mine, Sorted(standbys.Concat(joining)), copies, $"follows: {string.Join(", ", joining)}") };
        var any = Copies(service, copies, remaining.Count);
        var same = any == copies && remaining.Count == standbys.Count;
        return new QuorumStep(remaining, any, null, same ? null : Set(mine, remaining, any,
            lost.Count > 0 ? $"lost: {string.Join(", ", lost)}" : $"in sync: any {any} of {string.Join(", ", remaining)}"));
    }

    /// <summary>How many of so many standbys commits shall wait for: what the file asks for and there can be, never fewer than promised.</summary>
    public static int Copies(ServiceSpec service, int promised, int standbys) =>
        Math.Max(promised, Math.Min(((PostgreSqlDriverSpec)service.Driver).SynchronousStandbys, standbys));

    private static SyncSet Set(SyncSet mine, IReadOnlyList<NodeName> standbys, int copies, string why) =>
        mine with { Members = [mine.Members[0], .. standbys], Any = copies < standbys.Count ? copies : null, Reason = why };

    private static IReadOnlyList<NodeName> Sorted(IEnumerable<NodeName> nodes) => [.. nodes.Distinct().Order()];
}
