using Evenkeel.Core.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Simulation.World;

/// <summary>
/// Programs that do backup jobs, seen from outside: no two at one job, and each says once how it ended. The wall clock, by which jobs are due and tried again,
/// runs much faster than the rest, so that a short run sees many.
/// </summary>
internal sealed class SimBackups(SimCluster cluster)
{
    private const long Beginning = 1_800_000_000;
    private const long Faster = 60;
    private const long Every = 120;
    private readonly Chance chance = new(cluster.Seed ^ 0x6261636b7570);
    private readonly List<Going> running = [];

    /// <summary>By reference: after a restore of the store another run of the same node may have the same number.</summary>
    private sealed class Going(SimNode node, RunBackup run, int store)
    {
        private readonly int agent = node.Agent.Process.Generation;
        public SimNode Node => node;
        public RunBackup Run => run;
        public int Store => store;
        public bool IsOf(SimNode other) => other == node && agent == node.Agent.Process.Generation;
    }

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
        // A store that was restored has forgotten who is at what; then the repository's own locks keep two nodes apart. An agent knows its own.
        if (running.Find(going => going.Run.Job == run.Job && (going.Store == cluster.Store.Generation || going.IsOf(node))) is { } other)
            cluster.Invariants.Break($"{node.Name} begins backup {run.Job}, which {other.Node.Name} is at");
        cluster.Trace(node.Name, $"backup {run.Job} {run.Number} begins");
        var mine = new Going(node, run, cluster.Store.Generation);
        running.Add(mine);
        cluster.Time.After(chance.Milliseconds(20, 4000), () => End(mine, good: chance.Happens(0.8)));
    }

    public void Stop(SimNode node, StopBackup stop)
    {
        if (running.Find(going => going.IsOf(node) && going.Run.Job == stop.Job) is { } mine) cluster.Time.After(chance.Milliseconds(1, 50), () => End(mine, good: false));
    }

    /// <summary>The leash broke.</summary>
    public void AgentIsGone(SimNode node)
    {
        foreach (var run in running.Where(going => going.Node == node).ToList()) cluster.Time.After(chance.Milliseconds(1, 10), () => running.Remove(run));
    }

    private void End(Going mine, bool good)
    {
        if (!mine.IsOf(mine.Node) || !running.Remove(mine)) return;
        if (good) Done++;
        mine.Node.Agent.Post(new BackupEnded(mine.Run.Job, mine.Run.Number, new BackupResult(BackupTask.Incremental, mine.Node.Name, WallClock, good, good ? "done" : "failed")));
    }
}
