using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Local;

public enum DemoFault { Kill, Hang, Drain }

/// <summary>One row of the demo's table: what was done to whom, and what clients saw of it.</summary>
/// <param name="HeldFrontDoor">The node held the front door when it was hit.</param>
/// <param name="Goal">The longest outage that the file allows (the service's RTO).</param>
/// <param name="Problem">Why this row fails the demo; null when it passes.</param>
public sealed record DemoRow(DemoFault Fault, NodeName Node, bool HeldFrontDoor, OutageReport Seen, TimeSpan Goal, string? Problem);

/// <summary>
/// The unattended demo: kills, hangs and drains each node in turn, each time waiting until clients are served and the cluster
/// is whole again. A row fails when an idempotent request failed although the node hit did not hold the front door, or when
/// the outage passed the goal.
/// </summary>
public sealed class DemoScript(LoopbackCluster cluster, Prober prober, TimeSpan goal, Action<string> say)
{
    /// <summary>How long clients are watched after a fault; longer than any request may take.</summary>
    private static readonly TimeSpan WatchTime = TimeSpan.FromSeconds(3);
    private readonly List<Probe> _probes = [];

    public async Task<IReadOnlyList<DemoRow>> RunAsync(Action<DemoRow> finished, CancellationToken cancellation)
    {
        var rows = new List<DemoRow>();
        foreach (var fault in Enum.GetValues<DemoFault>())
        {
            foreach (var node in cluster.Spec.Nodes.Keys)
            {
                say($"waiting until all nodes serve, then: {Words(fault)} {node}");
                await cluster.WaitUntilWholeAsync(cancellation).ConfigureAwait(false);
                var row = await HitAsync(fault, node, cancellation).ConfigureAwait(false);
                rows.Add(row);
                finished(row);
            }
        }

        await cluster.WaitUntilWholeAsync(cancellation).ConfigureAwait(false);
        return rows;
    }

    public static string Words(DemoFault fault) => fault switch
    {
        DemoFault.Kill => "kill",
        DemoFault.Hang => "hang",
        _ => "drain",
    };

    private async Task<DemoRow> HitAsync(DemoFault fault, NodeName node, CancellationToken cancellation)
    {
        _probes.AddRange(prober.Take());
        _probes.Clear();
        var holder = await cluster.FrontDoorOwnerAsync(cancellation).ConfigureAwait(false);
        // Some requests before the fault, so that the gap begins at the last success before it.
        await Task.Delay(TimeSpan.FromMilliseconds(300), cancellation).ConfigureAwait(false);
        var hitAt = prober.Now;
        say($"{Words(fault)} {node}{(holder == node ? " (holds the front door)" : "")}");
        await DoAsync(fault, node, cancellation).ConfigureAwait(false);
        await Task.Delay(WatchTime, cancellation).ConfigureAwait(false);
        await UndoAsync(fault, node, cancellation).ConfigureAwait(false);
        await cluster.WaitUntilWholeAsync(cancellation).ConfigureAwait(false);
        await Task.Delay(Prober.AnswerTimeout, cancellation).ConfigureAwait(false);
        _probes.AddRange(prober.Take());

        var held = holder == node;
        var seen = OutageReport.Of(_probes, held ? hitAt : null);
        string? problem = null;
        if (seen.LongestOutage > goal)
        {
            problem = $"the outage of {seen.LongestOutage.TotalMilliseconds:0} ms passed the goal of {goal.TotalMilliseconds:0} ms";
        }
        else if (!held && seen.Failures > 0)
        {
            problem = $"{seen.Failures} idempotent requests failed ({string.Join(", ", seen.Reasons.Select(reason => $"{reason.Value} × {reason.Key}"))})";
        }

        return new DemoRow(fault, node, held, seen, goal, problem);
    }

    private Task DoAsync(DemoFault fault, NodeName node, CancellationToken cancellation) => fault switch
    {
        DemoFault.Kill => Now(() => cluster.Kill(node)),
        DemoFault.Hang => Now(() => cluster.Hang(node)),
        _ => MustAsync(cluster.DrainAsync(node, cancellation)),
    };

    private Task UndoAsync(DemoFault fault, NodeName node, CancellationToken cancellation) =>
        fault == DemoFault.Drain ? MustAsync(cluster.ResumeAsync(node, cancellation)) : Now(() => cluster.BringBack(node));

    private static async Task MustAsync(Task<string?> asked)
    {
        if (await asked.ConfigureAwait(false) is { } problem)
        {
            throw new LocalClusterException(problem);
        }
    }

    private static Task Now(Action act)
    {
        act();
        return Task.CompletedTask;
    }
}
