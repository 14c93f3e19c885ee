using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Backups;

/// <summary>
/// Which node does a backup job: one that has the data as they are now, a standby before the one that serves, a node where the
/// job has not just failed before one where it has, then in the file's order, then the less busy one.
/// </summary>
public static class BackupChoice
{
    /// <param name="busy">Nodes that are at another job.</param>
    /// <param name="failedOn">Where the job failed last; null when it did not.</param>
    /// <returns>Null while no node can.</returns>
    public static NodeName? Choose(Knowledge known, BackupJob job, IReadOnlySet<NodeName> busy, NodeName? failedOn)
    {
        var candidates = from node in job.Nodes.Select((name, order) => (Name: name, Order: order))
                         where !busy.Contains(node.Name) && CanWork(known, node.Name)
                         let rank = job.Spec.Service is { } service ? RankOf(known, known.Spec!.Services.GetValueOrDefault(service), node.Name) : 0
                         where rank is not null
                         orderby node.Name == failedOn, known.FactsOf(node.Name)?.Program != known.Own.Program, rank, job.Spec.Nodes.Count > 0 ? node.Order : 0, known.FactsOf(node.Name)?.LoadPerCore ?? 0, node.Name
                         select (NodeName?)node.Name;
        return candidates.FirstOrDefault();
    }

    // A drained node still has its data; one in maintenance or quarantine is left alone. A guard is not needed to read files.
    private static bool CanWork(Knowledge known, NodeName node) =>
        known.IsAlive(node) && known.FactsOf(node) is { Restarting: false, StoreReachable: true } && known.ModeOf(node) is NodeMode.Active or NodeMode.Draining;

    // Null: it does not have the data, or not as they are now.
    private static int? RankOf(Knowledge known, ServiceSpec? service, NodeName node)
    {
        if (service is null || known.LiveInstance(node, service.Name) is not { Status: InstanceStatus.Running } instance) return null;
        var active = service.Activity == Activity.Spread || instance.Epoch is not null;
        if (service.IsReplicated) return active ? instance.Health == Health.Healthy ? 1 : null : instance.Replication is { Streaming: true } ? 0 : null;
        return active ? 1 : 0;
    }
}
