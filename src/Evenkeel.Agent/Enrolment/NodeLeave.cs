using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Enrolment;

/// <summary>
/// This node leaves its cluster in order: once nothing that is exclusive is here, its etcd member goes, its certificate is revoked and its
/// agent ends. Every refusal leaves all as it was; cut short, it is asked for again and goes on.
/// </summary>
/// <param name="voters">The file's voting nodes, and those of them that this agent hears, itself among them; null while the file is not known.</param>
/// <param name="owned">What this node owns now, in words.</param>
/// <param name="renewGuardKeys">Asks for another key of the guards' datagrams.</param>
/// <param name="depart">Ends the agent, for good.</param>
internal sealed class NodeLeave(
    AgentConfiguration own, ManagedEtcd etcd, NodeCertificate certificate, AuthorityShelf shelf, ICoordinationStore store, Func<(IReadOnlyList<NodeName> All, IReadOnlyList<NodeName> Alive)?> voters,
    Func<IReadOnlyList<string>> owned, Func<CancellationToken, Task<Answer<Done>>> renewGuardKeys, Action depart, Action<string> log)
{
    private readonly EnrolmentKeys _keys = new(own.Cluster);

    public void Map(WebApplication application)
    {
        application.MapGet(ControlRoutes.Leave, (RequestDelegate)(async http => await ControlEndpoints.Send(http, await CheckAsync(http.RequestAborted).ConfigureAwait(false), ControlJson.Default.Done).ConfigureAwait(false)));
        application.MapPost(ControlRoutes.Leave, (RequestDelegate)(async http =>
        {
            var answer = await LeaveAsync(http.RequestAborted).ConfigureAwait(false);
            await ControlEndpoints.Send(http, answer, ControlJson.Default.Done).ConfigureAwait(false);
            if (answer.Problem is null)
            {
                // The asker hears of it first.
                http.Response.OnCompleted(() =>
                {
                    depart();
                    return Task.CompletedTask;
                });
            }
        }));
    }

    /// <summary>Whether the node may leave; nothing is changed.</summary>
    public async Task<Answer<Done>> CheckAsync(CancellationToken cancellation)
    {
        if (WhyNothingToLeave(own) is { } nothing)
        {
            return nothing;
        }

        if (shelf.CurrentHash is { } key && (key == certificate.Issuer || shelf.NextHash is not null))
        {
            return new Problem(ProblemKind.Refused, $"{own.Node} has the key of the certificate authority: without it nobody could join, and no certificate be renewed",
                "Have another node make its own first (there: evenkeel ca rotate --lost-key, once this node's ca/ is put away); or copy ca/ below another node's state directory and delete it here");
        }

        if (voters() is not var (all, alive))
        {
            return new Problem(ProblemKind.Unavailable, "the cluster's file is not known to this agent yet", "Look again in a second");
        }

        var (staying, majority) = (alive.Count(node => node != own.Node), (all.Count / 2) + 1);
        if (all.Contains(own.Node) && staying < majority)
        {
            return new Problem(ProblemKind.Refused, $"without {own.Node} {staying} of the file's {all.Count} voting nodes would be there, and {majority} are needed: leases and the store would lose their majority",
                all.Count > alive.Count ? $"Bring back {string.Join(" or ", all.Except(alive))} first" : $"Take its vote in the file first (nodes.{own.Node}.votes: false) or add another voting node, and apply that");
        }

        return own.Store == StoreKind.Etcd && await WhyTooFewAsync(cancellation).ConfigureAwait(false) is { } tooFew ? tooFew : new Done($"{own.Node} may leave");
    }

    internal static Problem? WhyNothingToLeave(AgentConfiguration own) => own.Store switch
    {
        StoreKind.Etcd or StoreKind.External => null,
        _ => new Problem(ProblemKind.Refused, "this cluster's coordination store is on one machine, and so is the cluster: there is nothing to leave", "Stop it: Ctrl-C where it was started"),
    };

    private async Task<Problem?> WhyTooFewAsync(CancellationToken cancellation)
    {
        try
        {
            using var members = etcd.OpenMembers();
            var list = await members.ListAsync(cancellation).ConfigureAwait(false);
            var answering = await members.AnsweringAsync(cancellation).ConfigureAwait(false);
            var staying = list.Where(one => !one.Learner && one.Name != own.Node.Value).ToList();
            var (alive, needed) = (staying.Count(one => answering.Contains(one.Id)), (staying.Count / 2) + 1);
            return staying.Count > 0 && alive >= needed ? null : new Problem(ProblemKind.Refused,
                $"without {own.Node} etcd would have {staying.Count} voting members, of which {alive} answer, and {needed} are needed: the store would lose its majority",
                staying.Count == 0 ? "It is the last one: there would be no cluster" : $"Bring back {string.Join(" or ", staying.Where(one => !answering.Contains(one.Id)).Select(one => one.Name))} first");
        }
        catch (StoreUnavailableException exception)
        {
            return new Problem(ProblemKind.Unavailable, $"the coordination store has no majority that could agree to it: {exception.Message}", "Bring back a voting node");
        }
    }

    internal async Task<Answer<Done>> LeaveAsync(CancellationToken cancellation)
    {
        if ((await CheckAsync(cancellation).ConfigureAwait(false)).Problem is { } refused)
        {
            return refused;
        }

        if (owned() is { Count: > 0 } still)
        {
            return new Problem(ProblemKind.Refused, $"{own.Node} still owns {string.Join(", ", still)}", $"evenkeel drain {own.Node}, and ask again when it is empty");
        }

        var removed = false;
        try
        {
            if (own.Store == StoreKind.Etcd)
            {
                await RemoveMemberAsync(cancellation).ConfigureAwait(false);
            }

            removed = true;

            var revoked = await RevokeAsync(cancellation).ConfigureAwait(false);
            // The last of it: a weekly change does the same, should this one not be taken.
            if (revoked.Problem is null && (await renewGuardKeys(cancellation).ConfigureAwait(false)).Problem is { } kept)
            {
                log($"the guards' key stays as it is until its week is over: {kept.Message}");
            }

            return revoked;
        }
        catch (MembershipRefusedException exception)
        {
            return new Problem(ProblemKind.Refused, $"etcd keeps {own.Node}: {exception.Message}", "Too few members run or follow: bring one back first (evenkeel status)");
        }
        catch (StoreUnavailableException exception)
        {
            return new Problem(ProblemKind.Unavailable, $"it is not known whether {own.Node} has left: {exception.Message}", "Ask again: evenkeel leave");
        }
        finally
        {
            // Refused, not known, or the asker is gone: a member that is still one must be started again when it ends.
            if (!removed)
            {
                etcd.IsLeaving = false;
            }
        }
    }

    private async Task RemoveMemberAsync(CancellationToken cancellation)
    {
        using var members = etcd.OpenMembers();
        var list = await members.ListAsync(cancellation).ConfigureAwait(false);
        // First: it ends by itself as soon as it hears of it.
        etcd.IsLeaving = true;
        if (list.FirstOrDefault(one => one.Name == own.Node.Value) is { } member)
        {
            await members.RemoveAsync(member.Id, cancellation).ConfigureAwait(false);
            log($"{own.Node} leaves: its etcd member {member.Id:x} is gone");
        }
    }

    private async Task<Answer<Done>> RevokeAsync(CancellationToken cancellation)
    {
        await _keys.RevokeIssuedAsync(store, own.Node, cancellation).ConfigureAwait(false);
        var entry = (await store.ReadAsync(_keys.Certificate(own.Node), cancellation).ConfigureAwait(false)).Entries.FirstOrDefault(one => one.Key == _keys.Certificate(own.Node));
        if (entry is not null && EnrolmentKeys.Read(entry) is { } used)
        {
            var result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(entry.Key, entry.ModRevision)],
                [new Write(entry.Key, null), new Write(new TrustKeys(own.Cluster).Node(own.Node), null), .. _keys.Revoke(used with { At = DateTimeOffset.UtcNow })]), cancellation).ConfigureAwait(false);
            if (result.Outcome is not (CommitOutcome.Committed or CommitOutcome.Indeterminate))
            {
                return new Problem(ProblemKind.Unavailable, $"the certificate of {own.Node} is not known to be revoked: {result.Reason}", "Ask again: evenkeel leave");
            }
        }

        log($"{own.Node} has left the cluster: its certificate is revoked");
        return new Done($"{own.Node} has left: {(own.Store == StoreKind.External ? "its certificate is revoked (what it reaches the external etcd with is yours to revoke)" : "its etcd member is removed and its certificate revoked")}. Its agent ends, and puts its state away; the cluster's file still names it: take it out and apply that");
    }
}
