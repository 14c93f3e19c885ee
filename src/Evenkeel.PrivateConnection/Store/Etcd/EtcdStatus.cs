using System.Globalization;
using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>Asks every member how it is, and the log whether it moves: only that proves a quorum.</summary>
internal static class EtcdStatus
{
    private static readonly TimeSpan Limit = TimeSpan.FromMilliseconds(500);

    /// <exception cref="StoreUnavailableException">No member answered at all.</exception>
    public static async Task<StoreStatus> ReadAsync(
        IReadOnlyList<EtcdMemberLink> members, Func<CancellationToken, Task<EtcdAnswer>> barrier, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        var moving = barrier(limit.Token);
        var asked = members.Select(member => AskAsync(member, cancellation)).ToList();
        var known = (await Task.WhenAll(asked).ConfigureAwait(false)).OfType<MemberView>().ToList();
        var quorum = (await moving.ConfigureAwait(false)).Response;
        cancellation.ThrowIfCancellationRequested();
        if (known.Count == 0)
        {
            throw new StoreUnavailableException($"none of the {members.Count} etcd members answers");
        }

        // A learner of etcd 3.4 does not tell who the members are.
        var best = known.OrderByDescending(view => view.Status.RaftTerm).ThenByDescending(view => view.Members.Count).First();
        var leader = best.Status.Leader == 0 ? null : best.Members.FirstOrDefault(member => member.ID == best.Status.Leader)?.Name;
        return new StoreStatus(
            quorum is not null,
            leader,
            quorum?.Header.Revision ?? known.Max(view => view.Status.Header.Revision),
            known.Max(view => view.Status.DbSize),
            [.. known.SelectMany(view => view.Alarms.Select(alarm => Words(alarm, best.Members) ?? $"{view.Member.Endpoint.Address}: {alarm}")).Distinct(), .. Missing(members, known)]);
    }

    /// <summary>
    /// Each member tells the alarms of all, learners' too (which answer nobody who asks them for alarms), by number:
    /// <c>memberID:1234 alarm:NOSPACE</c> (rpc.proto, AlarmMember). Null: it is something else that only the teller has.
    /// </summary>
    internal static string? Words(string alarm, IReadOnlyList<Member> members)
    {
        if (alarm.Trim().Split(' ') is not [var who, var what] || !who.StartsWith("memberID:", StringComparison.Ordinal) || !what.StartsWith("alarm:", StringComparison.Ordinal)
            || !ulong.TryParse(who.AsSpan(9), NumberStyles.None, CultureInfo.InvariantCulture, out var id))
        {
            return null;
        }

        var member = members.FirstOrDefault(member => member.ID == id);
        var name = member is null ? $"member {id:x}, which is none any more or not known" : member.Name.Length == 0 ? $"member {id:x}" : member.IsLearner ? $"{member.Name}, a learner" : member.Name;
        return $"{what[6..]} on {name}";
    }

    private static IEnumerable<string> Missing(IReadOnlyList<EtcdMemberLink> members, List<MemberView> known) =>
        members.Where(member => known.All(view => view.Member != member)).Select(member => $"no answer from etcd at {member.Endpoint.Address}");

    private static async Task<MemberView?> AskAsync(EtcdMemberLink member, CancellationToken cancellation)
    {
        // No leader needed: a member without one can still say so.
        var options = new CallOptions(deadline: DateTime.UtcNow + Limit, cancellationToken: cancellation);
        try
        {
            var status = member.Maintenance.StatusAsync(new StatusRequest(), options).ResponseAsync;
            var listed = member.Cluster.MemberListAsync(new MemberListRequest(), options).ResponseAsync;
            var answer = await status.ConfigureAwait(false);
            return new MemberView(member, answer, await ListAsync(listed).ConfigureAwait(false), [.. answer.Errors]);
        }
        catch (RpcException)
        {
            return null;
        }
    }

    // Reading the members is linearizable since etcd 3.5: without a quorum there is no list, and no names.
    private static async Task<IReadOnlyList<Member>> ListAsync(Task<MemberListResponse> listed)
    {
        try
        {
            return (await listed.ConfigureAwait(false)).Members;
        }
        catch (RpcException)
        {
            return [];
        }
    }

    private sealed record MemberView(EtcdMemberLink Member, StatusResponse Status, IReadOnlyList<Member> Members, IReadOnlyList<string> Alarms);
}
