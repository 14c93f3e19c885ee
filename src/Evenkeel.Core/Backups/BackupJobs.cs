using Evenkeel.Core.Model;

namespace Evenkeel.Core.Backups;

/// <summary>A job as it is given to nodes.</summary>
/// <param name="Key">Its name, or <c>NAME.NODE</c> where each node backs up for itself.</param>
/// <param name="Nodes">Who may do it, the best first.</param>
public sealed record BackupJob(string Key, BackupSpec Spec, IReadOnlyList<NodeName> Nodes);

/// <summary>The jobs that a spec's backups amount to.</summary>
public static class BackupJobs
{
    public static IEnumerable<BackupJob> Of(ClusterSpec spec) => spec.Backups.Values.SelectMany(backup => Of(backup, spec));

    public static BackupJob? Find(ClusterSpec spec, string key) => Of(spec).FirstOrDefault(job => job.Key == key);

    /// <summary>The key is a name and, after a dot that no name has, a node.</summary>
    public static string NameOf(string key) => key.Split('.')[0];

    private static IEnumerable<BackupJob> Of(BackupSpec backup, ClusterSpec spec)
    {
        NodeName[] nodes = backup.Nodes.Count > 0 ? [.. backup.Nodes.Where(spec.Nodes.ContainsKey)]
            : [.. spec.Nodes.Values.Where(node => node.Role != NodeRole.Witness).Select(node => node.Name)];
        return backup.Each ? nodes.Select(node => new BackupJob($"{backup.Name}.{node}", backup, [node])) : [new BackupJob(backup.Name, backup, nodes)];
    }
}
