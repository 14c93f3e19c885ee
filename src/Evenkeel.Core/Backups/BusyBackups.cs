using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Backups;

/// <summary>What running backups occupy: nodes, repositories, services.</summary>
internal sealed class BusyBackups
{
    private readonly HashSet<NodeName> nodes = [];
    private readonly HashSet<string> things = new(StringComparer.Ordinal);

    public BusyBackups(Knowledge known, IReadOnlyDictionary<string, BackupJob> jobs)
    {
        foreach (var (key, record) in known.State.Backups)
        {
            if (record.Value.Running is not { } run) continue;
            nodes.Add(run.Node);
            if (jobs.TryGetValue(key, out var job)) Add(job, run.Node);
        }
    }

    public IReadOnlySet<NodeName> Nodes => nodes;

    public bool Holds(BackupJob job) => ThingsOf(job).Any(things.Contains);

    public void Add(BackupJob job, NodeName node)
    {
        nodes.Add(node);
        things.UnionWith(ThingsOf(job));
    }

    private static IEnumerable<string> ThingsOf(BackupJob job)
    {
        yield return "job " + job.Spec.Name;
        yield return "place " + job.Spec.Repository.Location;
        if (job.Spec.Service is { } service) yield return "service " + service;
    }
}
