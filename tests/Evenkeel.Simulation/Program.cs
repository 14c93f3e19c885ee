using System.Diagnostics;
using System.Globalization;

namespace Evenkeel.Simulation;

/// <summary>
/// The simulator's own commands; anything else goes to xunit.
///   replay SEED [--bug NAME]      one run with its trace, byte for byte the same each time
///   seeds FIRST COUNT [--bug NAME]  many runs; stops at nothing, prints each failing seed
///   --minutes N [--bug NAME]      new seeds for N minutes
/// With --volumes the clusters have a volume too; with --quorum the database's commits wait for a quorum of its standbys.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        CultureInfo.CurrentCulture = CultureInfo.InvariantCulture;
        var bug = Array.IndexOf(arguments, "--bug") is var at and >= 0 ? Bug.Named(arguments[at + 1]) : Bug.None;
        var volumes = arguments.Contains("--volumes");
        if (arguments.Contains("--quorum")) bug = bug with { Quorum = true };
        return arguments switch
        {
            ["replay", var seed, ..] => Replay(ulong.Parse(seed, CultureInfo.InvariantCulture), bug, volumes),
            ["seeds", var first, var count, ..] => Many(ulong.Parse(first, CultureInfo.InvariantCulture), int.Parse(count, CultureInfo.InvariantCulture), bug, null, volumes),
            ["--minutes", var minutes, ..] => Many((ulong)Stopwatch.GetTimestamp(), int.MaxValue, bug, TimeSpan.FromMinutes(double.Parse(minutes, CultureInfo.InvariantCulture)), volumes),
            _ => await Xunit.Runner.InProc.SystemConsole.ConsoleRunner.Run(arguments),
        };
    }

    private static int Replay(ulong seed, Bug bug, bool volumes)
    {
        var outcome = Run.Seed(seed, bug, traced: true, volumes);
        Console.Write(outcome.Trace);
        Console.WriteLine($"seed {seed} bug {bug.Name}: {outcome.Violation ?? "every invariant held"}; converged in {outcome.Converged.TotalSeconds:0.00} s; hash {outcome.Hash:x16}");
        return outcome.Violation is null ? 0 : 1;
    }

    private static int Many(ulong first, int count, Bug bug, TimeSpan? wall, bool volumes)
    {
        var (done, changes, claims, worst, events) = (0, 0L, 0L, TimeSpan.Zero, 0L);
        var watch = Stopwatch.StartNew();
        var failed = Run.Many(first, count, bug, wall, untilFound: bug.Name != Bug.None.Name, volumes: volumes, each: outcome =>
        {
            done++;
            changes += outcome.OwnerChanges;
            claims += outcome.Claims;
            events += outcome.Events;
            if (outcome.Converged > worst) worst = outcome.Converged;
            if (outcome.Violation is not null) Console.WriteLine(Run.HowToReplay(outcome, bug, volumes));
        });
        Console.WriteLine($"{done} seeds, {failed.Count} violations, {changes} changes of owner, {claims} of controller, {events} events, slowest convergence {worst.TotalSeconds:0.0} s, {watch.Elapsed.TotalSeconds:0} s");
        return failed.Count == 0 ? 0 : 1;
    }
}
