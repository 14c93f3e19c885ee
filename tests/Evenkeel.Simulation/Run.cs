using System.Diagnostics;
using System.Globalization;
using Evenkeel.Core.Model;
using Evenkeel.Simulation.Faults;
using Evenkeel.Simulation.World;

namespace Evenkeel.Simulation;

/// <summary>What became of one seed.</summary>
/// <param name="Violation">Null when every invariant held.</param>
/// <param name="Hash">Of all that happened.</param>
/// <param name="Converged">Virtual time from the end of the faults until every resource had an owner that acts.</param>
internal sealed record Outcome(ulong Seed, string? Violation, ulong Hash, TimeSpan Converged, int OwnerChanges, int Claims, long Events, string Trace);

/// <summary>One seed: a cluster comes up, is hurt for a while, then must be whole again within <see cref="Bound"/>, and stay calm.</summary>
internal static class Run
{
    /// <summary>Once faults stop, every resource has an owner that acts within this time (safety rule 10).</summary>
    public static readonly TimeSpan Bound = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan calm = TimeSpan.FromSeconds(3);

    public static Outcome Seed(ulong seed, Bug bug, bool traced = false, bool volumes = false)
    {
        var cluster = new SimCluster(seed, bug, traced, volumes: volumes);
        var converged = TimeSpan.Zero;
        cluster.Begin();
        var faults = new FaultPlan(cluster);
        if (cluster.Run(Span(1.5)))
        {
            faults.Begin();
            if (cluster.Run(Span(cluster.Chance.Between(4, 12))))
            {
                faults.Stop();
                converged = Heal(cluster);
            }
        }
        return new Outcome(seed, cluster.Invariants.Violation, cluster.Hash, converged,
            cluster.Invariants.OwnerChanges, cluster.Invariants.Claims, cluster.Time.Events, cluster.TraceText);
    }

    private static TimeSpan Heal(SimCluster cluster)
    {
        var healed = cluster.Time.Now;
        while (Missing(cluster) is { } missing)
        {
            // What only fencing can end waits for as long as an agent may be away.
            if (cluster.Time.Now - healed > Span((Bound + cluster.Spec.Timings.AgentAbsence).TotalSeconds))
            {
                cluster.Invariants.Break($"{Bound.TotalSeconds:0} s after the last fault {missing}");
                return Bound;
            }
            if (!cluster.Run(Span(0.05))) return TimeSpan.Zero;
        }
        var converged = TimeSpan.FromTicks((cluster.Time.Now - healed) / 100);
        // Some things take their time (a group comes together, a standby starts); then nothing moves any more.
        // Behind a cut that lasts, a node is given up only after a while.
        if (!cluster.Run(Span((cluster.Network.AnyCut ? 4 : 1) * calm.TotalSeconds))) return converged;
        while (cluster.FenceDevice.QuietSince is var quiet && cluster.Time.Now - quiet < Span(calm.TotalSeconds))
            if (!cluster.Run(Span(0.5))) return converged;
        var (changes, claims) = (cluster.Invariants.OwnerChanges, cluster.Invariants.Claims);
        if (!cluster.Run(Span(calm.TotalSeconds))) return converged;
        if (cluster.Invariants.Claims != claims) cluster.Invariants.Break($"the controller changed {cluster.Invariants.Claims - claims} times without a fault");
        else if (cluster.Invariants.OwnerChanges != changes) cluster.Invariants.Break($"owners changed {cluster.Invariants.OwnerChanges - changes} times without a fault");
        else if (Missing(cluster) is { } missing) cluster.Invariants.Break($"without a fault {missing}");
        else if (cluster.Spec.Backups.Count > 0 && cluster.Backups.Done == 0) cluster.Invariants.Break("no backup was ever made");
        return converged;
    }

    private static string? Missing(SimCluster cluster)
    {
        foreach (var resource in cluster.Invariants.Resources)
            if (cluster.Invariants.Actor(resource) is null && !MustWait(cluster, resource)) return $"{resource} has no owner that acts";
        if (Fences(cluster).Any(fence => fence.Phase == FencePhase.Asked)) return "a node is to be cut off";
        var running = cluster.Nodes.Values.Count(node => node.Running.ContainsKey("web"));
        return running < cluster.Spec.Nodes.Values.Count(node => node.Role == NodeRole.Full) - 1 ? $"web runs on {running} nodes only" : null;
    }

    private static bool MustWait(SimCluster cluster, ResourceId resource) =>
        resource == ResourceId.Service(SimDatabase.Service) ? cluster.Database.MustWait
        : (resource == ResourceId.Volume(SimVolume.Name) || resource == ResourceId.Service(SimVolume.User)) && cluster.Database.MustWaitFor(SimVolume.Id);

    private static IEnumerable<FenceRecord> Fences(SimCluster cluster) =>
        new Core.Loop.Store.StateCodec(Plan.Cluster).Read(cluster.Store.Snapshot()).Fences.Values.Select(fence => fence.Value);

    private static long Span(double seconds) => (long)(seconds * 1e9);

    /// <summary>Seeds on every core, until all are done, the time is over, or (when asked) one failed.</summary>
    public static IReadOnlyList<Outcome> Many(ulong first, int count, Bug bug, TimeSpan? wall = null, Action<Outcome>? each = null, bool untilFound = false, bool volumes = false)
    {
        var watch = Stopwatch.StartNew();
        var failed = new List<Outcome>();
        Parallel.For(0, count, new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount }, (i, loop) =>
        {
            if (untilFound && failed.Count > 0) { loop.Stop(); return; }
            if (wall is { } limit && watch.Elapsed > limit) { loop.Stop(); return; }
            var outcome = Seed(first + (ulong)i, bug, volumes: volumes);
            lock (failed)
            {
                each?.Invoke(outcome);
                if (outcome.Violation is not null) failed.Add(outcome);
            }
        });
        return [.. failed.OrderBy(outcome => outcome.Seed)];
    }

    public static string HowToReplay(Outcome outcome, Bug bug, bool volumes = false) => string.Create(CultureInfo.InvariantCulture,
        $"seed {outcome.Seed}: {outcome.Violation}\n  replay: tests/Evenkeel.Simulation/bin/Release/net10.0/Evenkeel.Simulation replay {outcome.Seed}{(bug.Name == Bug.None.Name ? "" : " --bug " + bug.Name)}{(bug.Quorum ? " --quorum" : "")}{(volumes ? " --volumes" : "")}");
}
