using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Instances;

/// <summary>An agent's own transaction: what an operator asked for is done.</summary>
public sealed record RestartProposal(RestartRequest Restart) : Proposal;

/// <summary>
/// Ends operators' requests for a restart that were fulfilled: the instance was stopped for it (or did not run) and is what it shall be
/// again. An agent that itself restarts in between stops it once more, which does no harm.
/// </summary>
public sealed class RestartSide(Knowledge known, CommitDesk desk)
{
    public void OnTick(StateCodec codec, IReadOnlyDictionary<string, LocalInstance> instances)
    {
        if (!known.HasState || !desk.MayPropose) return;
        foreach (var (_, record) in known.State.Restarts)
        {
            var restart = record.Value;
            if (restart.Node != known.Self || !IsDone(instances.GetValueOrDefault(restart.Service), record.Revision)) continue;
            var key = codec.Keys.Restart(restart);
            desk.Propose(new RestartProposal(restart), [new(key, record.Revision)], [new(key, null)]);
            return;
        }
    }

    private static bool IsDone(LocalInstance? local, long revision) => local is null
        || (local.Action is null && local.StoppedFor >= revision && local.Facts.Status is not (InstanceStatus.Starting or InstanceStatus.Stopping or InstanceStatus.Stopped))
        || (local.Action is null && local.Facts.Status == InstanceStatus.Stopped && local.Failures == 0 && local.StoppedFor < revision);
}
