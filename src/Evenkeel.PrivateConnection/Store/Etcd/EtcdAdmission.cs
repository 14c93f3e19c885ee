using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>
/// How a member gets into an etcd that runs: as a learner, which counts for no majority while it copies the data, and then as a
/// voter. Every step is taken by the newcomer itself and can be repeated after a crash anywhere.
/// Voters stay odd in number where they can: an even number survives no more failures than the odd one below it, so a learner
/// is promoted when that makes them odd, or when the next newcomer needs its place (etcd has one learner at a time).
/// </summary>
public sealed class EtcdAdmission(EtcdMembership members, NodeName self, PrivateEndpoint peer)
{
    /// <summary>Takes whatever step is next until this server is in the list of members.</summary>
    /// <param name="replaces">The operator has said that a member of this name that has run before is to be dropped: its data are gone.</param>
    /// <returns>All members with this one, by node as far as known, as <c>--initial-cluster</c> wants them; null when it has to be tried again, for <paramref name="said"/>'s reason.</returns>
    public async Task<IReadOnlyList<ListedMember>?> EnterAsync(bool replaces, Action<string> said, CancellationToken cancellation)
    {
        try
        {
            var list = await members.ListAsync(cancellation).ConfigureAwait(false);
            if (Own(list) is { HasRun: false })
            {
                return list;
            }

            if (Own(list) is { } lost)
            {
                if (!replaces)
                {
                    said($"etcd knows {self} as a member that has run before, and its data are not in this state directory: a member that lost its data must not come "
                        + $"back under its old name. If they are lost for good: evenkeel recover --rejoin here");
                    return null;
                }

                await members.RemoveAsync(lost.Id, cancellation).ConfigureAwait(false);
                list = await members.ListAsync(cancellation).ConfigureAwait(false);
            }

            if (list.FirstOrDefault(member => member.Learner) is { } learner)
            {
                await members.PromoteAsync(learner.Id, cancellation).ConfigureAwait(false);
            }

            return await members.AddLearnerAsync(peer, cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is StoreUnavailableException or MembershipRefusedException)
        {
            said($"{self} is no member of etcd yet: {exception.Message}");
            return null;
        }
    }

    /// <summary>Makes this server's learner a voter when that is due.</summary>
    /// <returns>True when there is nothing left to do until the members change: it votes, or it is the odd one out.</returns>
    public async Task<bool> SettleAsync(Action<string> said, CancellationToken cancellation)
    {
        try
        {
            var list = await members.ListAsync(cancellation).ConfigureAwait(false);
            if (Own(list) is not { Learner: true } own || list.Count(member => !member.Learner) % 2 != 0)
            {
                return Own(list) is { HasRun: true };
            }

            await members.PromoteAsync(own.Id, cancellation).ConfigureAwait(false);
            said($"etcd: {self} votes, as one of {list.Count}");
            return true;
        }
        catch (Exception exception) when (exception is StoreUnavailableException or MembershipRefusedException)
        {
            // Not in step with the leader yet, as a rule.
            said($"etcd: {self} does not vote yet: {exception.Message}");
            return false;
        }
    }

    private ListedMember? Own(IEnumerable<ListedMember> list) => list.FirstOrDefault(member => member.Name == self.Value || member.Peer == members.UrlOf(peer));
}
