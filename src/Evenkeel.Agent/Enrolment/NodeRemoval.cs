using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Store.Etcd;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Enrolment;

/// <summary>
/// Takes a node that is off, or left, out of the cluster: its etcd member goes, and its certificate counts no more. The cluster's
/// file is not touched: it says what shall be, and a new server can take the name. Every refusal leaves all as it was. With an etcd that
/// is not managed there is no member to take out; the certificate counts no more all the same.
/// </summary>
/// <param name="openMembers">A connection to the members of today; null without a managed etcd.</param>
/// <param name="known">Whether the committed file names a node, and whether this agent hears it.</param>
/// <param name="renewGuardKeys">Asks for another key of the guards' datagrams.</param>
internal sealed class NodeRemoval(
    AgentConfiguration own, Func<EtcdMembership>? openMembers, ICoordinationStore store, Func<NodeName, (bool Named, bool Alive)> known, EnrolmentOffice office,
    Func<CancellationToken, Task<Answer<Done>>> renewGuardKeys, Action<string> log)
{
    private readonly EnrolmentKeys _keys = new(own.Cluster);

    public void Map(WebApplication application)
    {
        application.MapPost(ControlRoutes.Remove, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.RemovalOrder, async _ =>
            await ControlEndpoints.Send(http, await RemoveAsync(NodeOf(http), http.RequestAborted).ConfigureAwait(false), ControlJson.Default.Done).ConfigureAwait(false))));
        application.MapPost(ControlRoutes.Replace, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.RemovalOrder, async order =>
            await ControlEndpoints.Send(http, await ReplaceAsync(NodeOf(http), order.Lifetime, http.RequestAborted).ConfigureAwait(false), ControlJson.Default.NewToken).ConfigureAwait(false))));
    }

    /// <summary>Refuses what would leave etcd without a majority, and a node that still lives.</summary>
    public async Task<Answer<Done>> RemoveAsync(NodeName node, CancellationToken cancellation)
    {
        if (WhyNot(node) is { } refusal)
        {
            return refusal;
        }

        using var members = openMembers?.Invoke();
        try
        {
            var list = members is null ? [] : await members.ListAsync(cancellation).ConfigureAwait(false);
            var member = list.FirstOrDefault(one => one.Name == node.Value || (own.StoreMembers.TryGetValue(node.Value, out var address)
                && one.Peer == members!.UrlOf(ManagedEtcd.Peer(address))));
            var certificates = (await store.ReadAsync(_keys.Certificate(node), cancellation).ConfigureAwait(false)).Entries.Where(entry => entry.Key == _keys.Certificate(node)).ToList();
            // What this node has signed and not told of yet; what another one has, it tells within a second.
            await office.Issued.TellAsync(store, _keys, cancellation).ConfigureAwait(false);
            if (member is null && certificates.Count == 0)
            {
                if (await _keys.RevokeIssuedAsync(store, node, cancellation).ConfigureAwait(false) is > 0 and var issued)
                {
                    office.Cancel(node);
                    log($"{node} was removed: {issued} certificates that were issued to it, and that no node has told of, are revoked");
                    return new Done($"no server is {node}; {(issued == 1 ? "a certificate that was" : $"{issued} certificates that were")} issued to it and never used by a node {(issued == 1 ? "is" : "are")} revoked");
                }

                return known(node).Named
                    ? new Problem(ProblemKind.Refused, $"{node} is in the cluster's file, and no server is {node}: nothing is to be removed", $"A server becomes it with: evenkeel token {node}")
                    : new Problem(ProblemKind.Unknown, $"there is no node '{node}'", members is null ? "evenkeel status names the nodes" : $"etcd's members: {string.Join(", ", list.Select(one => one.Name))}");
            }

            if (member is not null)
            {
                if (await WhyTooFewAsync(members!, list, member, node, cancellation).ConfigureAwait(false) is { } tooFew)
                {
                    return tooFew;
                }

                await members!.RemoveAsync(member.Id, cancellation).ConfigureAwait(false);
                log($"{node} was removed: its etcd member {member.Id:x} is gone");
            }

            return await RevokeAsync(node, member is not null, certificates, cancellation).ConfigureAwait(false);
        }
        catch (MembershipRefusedException exception)
        {
            return new Problem(ProblemKind.Refused, $"etcd keeps {node}: {exception.Message}", "Too few members run or follow: bring one back first (evenkeel status)");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new Problem(ProblemKind.Unavailable, $"{node} is not known to be removed: {exception.Message}", $"Ask again: evenkeel remove {node}");
        }
        catch (StoreUnavailableException exception)
        {
            return new Problem(ProblemKind.Unavailable, $"the coordination store has no majority that could agree to it: {exception.Message}",
                "Bring back a voting node; if a majority is lost for good, see 'evenkeel recover --help'");
        }
    }

    private async Task<Answer<NewToken>> ReplaceAsync(NodeName node, TimeSpan lifetime, CancellationToken cancellation)
    {
        if (!office.CanSign)
        {
            return new Problem(ProblemKind.Refused, "this node has not the key of the cluster's certificate authority, and a new server needs a certificate",
                "'evenkeel ca status' says which node has it. If that is the lost one: put a copy of its ca/ below this node's state directory and ask again, or make another authority (evenkeel ca rotate --lost-key)");
        }

        // Before anything is removed.
        if (office.WhyNot(new TokenOrder(node, lifetime)) is { } refused)
        {
            return refused;
        }

        // A node that is half removed already, or never came, needs its token all the same.
        return await RemoveAsync(node, cancellation).ConfigureAwait(false) is { Problem: { } problem } && !(problem.Kind == ProblemKind.Refused && problem.Mend?.Contains("evenkeel token", StringComparison.Ordinal) == true)
            ? problem : office.Issue(new TokenOrder(node, lifetime));
    }

    private static NodeName NodeOf(HttpContext http) => new((string)http.Request.RouteValues["node"]!);

    private Problem? WhyNot(NodeName node) =>
        openMembers is null && WhyNoMembers(own) is { } none ? none
        : node == own.Node ? new Problem(ProblemKind.Refused, $"{node} is the node that answers: it cannot remove itself", "Stop its agent, then ask on another node")
        : known(node).Alive ? new Problem(ProblemKind.Refused, $"{node} lives: only a node that is off, or whose agent has stopped, is removed", $"Stop its agent first (systemctl stop evenkeel on {node}); its services move")
        : null;

    internal static Problem? WhyNoMembers(AgentConfiguration own) => own.Store switch
    {
        StoreKind.External => null,
        StoreKind.Etcd => new Problem(ProblemKind.Refused, $"{own.Node} does not vote: it has no member of etcd, by which another is removed",
            own.StoreMembers.Count > 0 ? $"Ask on a voting node: {string.Join(", ", own.StoreMembers.Keys)}" : "Ask on a voting node"),
        _ => new Problem(ProblemKind.Refused, "this cluster's coordination store is on one machine: there is no member to remove", "A node that is not wanted any more: take it out of the file and apply that"),
    };

    /// <summary>Its member may answer though its agent does not: then it counts today, and not afterwards.</summary>
    private static async Task<Problem?> WhyTooFewAsync(EtcdMembership members, IReadOnlyList<ListedMember> list, ListedMember leaving, NodeName node, CancellationToken cancellation)
    {
        var answering = await members.AnsweringAsync(cancellation).ConfigureAwait(false);
        var staying = list.Where(one => !one.Learner && one.Id != leaving.Id).ToList();
        var alive = staying.Count(one => answering.Contains(one.Id));
        var majority = (staying.Count / 2) + 1;
        return staying.Count > 0 && alive >= majority ? null : new Problem(ProblemKind.Refused,
            $"without {node} etcd would have {staying.Count} voting members, of which {alive} answer, and {majority} are needed: the store would lose its majority",
            $"Bring back {string.Join(" or ", staying.Where(one => !answering.Contains(one.Id)).Select(one => one.Name))} first");
    }

    private async Task<Answer<Done>> RevokeAsync(NodeName node, bool wasMember, IReadOnlyList<StoreEntry> certificates, CancellationToken cancellation)
    {
        office.Cancel(node);
        await _keys.RevokeIssuedAsync(store, node, cancellation).ConfigureAwait(false);
        var said = wasMember ? $"{node} was removed, its etcd member too" : $"{node} was removed";
        if (certificates is not [var entry] || EnrolmentKeys.Read(entry) is not { } used)
        {
            return new Done($"{said}; it had told of no certificate yet: what was issued to it is revoked");
        }

        var result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(entry.Key, entry.ModRevision)],
            [new Write(entry.Key, null), new Write(new TrustKeys(own.Cluster).Node(node), null), .. _keys.Revoke(used with { At = DateTimeOffset.UtcNow })]), cancellation).ConfigureAwait(false);
        if (result.Outcome != CommitOutcome.Committed)
        {
            return new Problem(ProblemKind.Unavailable, $"{said}, but its certificate is not known to be revoked: {result.Reason}", $"Ask again: evenkeel remove {node}");
        }

        log($"{node} was removed: its certificate {used.Serial} is revoked");
        // The server has known the guards' key.
        await renewGuardKeys(cancellation).ConfigureAwait(false);
        return new Done($"{said}; its certificate {used.Serial} is revoked{(own.Store == StoreKind.External ? " (what it reaches the external etcd with is yours to revoke)" : "")}. The cluster's file still names it: a new server takes its place with 'evenkeel token {node}', or take it out of the file and apply that");
    }
}
