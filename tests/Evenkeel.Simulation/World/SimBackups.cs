using Evenkeel.Core.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// Programs that do backup jobs, seen from outside: no two at one job. The wall clock, by which jobs are due and tried again,
/// runs much faster than the rest, so that a short run sees many.
/// </summary>
internal sealed class SimBackups(SimCluster cluster)
{
    private const long Beginning = 1_800_000_000;
    private const long Faster = 60;
    private const long Every = 120;
    private readonly Chance chance = new(cluster.Seed ^ 0x6261636b7570);
    private readonly Dictionary<string, (SimNode Node, long Number, int Store)> running = [];

    /// <summary>What jobs a drawn cluster has; runs with a planted bug are left as they were, but for one of backups.</summary>
    public static ClusterSpec Draw(ClusterSpec spec, ulong seed, Bug bug) => (bug != Bug.None && bug.Loop.BackupOutlivesSilence) || seed % 3 != 0 ? spec : spec with
    {
        Backups = new[] { Job("files", null), Job("db", "db"), Job("etc", null) with { Each = true } }.ToDictionary(job => job.Name),
    };

    public int Done { get; private set; }

    private static BackupSpec Job(string name, string? service) => new()
    {
        Name = name, Service = service, Paths = ["/srv"], Repository = new BackupPlace("rest:" + name, "/p"), Schedules = new Dictionary<BackupTask, string> { [BackupTask.Incremental] = "sim" },
    };

    public long WallClock => Beginning + cluster.Time.Now / 1_000_000_000 * Faster;

    public IReadOnlyList<DueBackup> Due() => [.. BackupJobs.Of(cluster.Spec).Select(job => new DueBackup(job.Key, BackupTask.Incremental, WallClock / Every * Every))];

    public void Begin(SimNode node, RunBackup run)
    {
        // A store that was restored has forgotten who is at what; then the repository's own locks keep the two apart.
        if (running.TryGetValue(run.Job, out var other) && other.Store == cluster.Store.Generation) cluster.Invariants.Break($"{node.Name} begins backup {run.Job}, which {other.Node.Name} is at");
        cluster.Trace(node.Name, $"backup {run.Job} {run.Number} begins");
        running[run.Job] = (node, run.Number, cluster.Store.Generation);
        var mine = node.Agent.Process.Generation;
        cluster.Time.After(chance.Milliseconds(20, 4000), () => End(node, run.Job, run.Number, mine, good: chance.Happens(0.8)));
    }

    public void Stop(SimNode node, StopBackup stop)
    {
        var mine = node.Agent.Process.Generation;
        cluster.Time.After(chance.Milliseconds(1, 50), () => End(node, stop.Job, stop.Number, mine, good: false));
    }

    /// <summary>The leash broke.</summary>
    public void AgentIsGone(SimNode node)
    {
        foreach (var (job, run) in running.Where(pair => pair.Value.Node == node).ToList())
            cluster.Time.After(chance.Milliseconds(1, 10), () => { if (running.TryGetValue(job, out var now) && now == run) running.Remove(job); });
    }

    private void End(SimNode node, string job, long number, int generation, bool good)
    {
        if (!running.TryGetValue(job, out var run) || (run.Node, run.Number) != (node, number) || node.Agent.Process.Generation != generation) return;
        running.Remove(job);
        if (good) Done++;
        node.Agent.Post(new BackupEnded(job, number, new BackupResult(BackupTask.Incremental, node.Name, WallClock, good, good ? "done" : "failed")));
    }
}
