using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.EndToEnd.PostgreSql;

/// <summary>What may happen to one node of a database; <see cref="NamespaceLab.RestoreAsync"/> undoes it.</summary>
internal sealed record DatabaseFault(string Name, Func<DatabaseLab, NodeName, CancellationToken, Task> HitAsync)
{
    public static IReadOnlyList<DatabaseFault> All { get; } =
    [
        new("power", (lab, node, _) => Do(() => lab.Cluster.Kill(node))),
        // Its clients still reach it, its standbys and voters do not.
        new("silent cut", (lab, node, token) => lab.Cluster.Network.SilentCutAsync(node, LabLink.Private, oneWay: false, deaf: false, token)),
        new("mute", (lab, node, token) => lab.Cluster.Network.SilentCutAsync(node, LabLink.Private, oneWay: true, deaf: false, token)),
        new("deaf", (lab, node, token) => lab.Cluster.Network.SilentCutAsync(node, LabLink.Private, oneWay: true, deaf: true, token)),
        new("postgres killed", async (lab, node, _) =>
        {
            // On a full disk it may have ended by itself.
            if (await ServersAsync(lab, node) is [var main, ..]) Signals.Send(main, Signals.Kill);
        }),
        new("postgres stopped", async (lab, node, _) =>
        {
            foreach (var process in await ServersAsync(lab, node)) Signals.Send(process, Signals.Stop);
        }),
        new("disk full", (lab, node, _) => Do(() => lab.DiskOf(node).Fill())),
        new("agent and guard killed", (lab, node, _) => Do(() => lab.Cluster.Nodes[node].SignalAll(Signals.Kill))),
        // Its server runs on, with nobody to end it when its lease is over.
        new("agent and guard stopped", (lab, node, _) => Do(() =>
        {
            foreach (var process in lab.Cluster.Nodes[node].GuardIds().Concat(lab.Cluster.Nodes[node].AgentId is { } agent ? [agent] : [])) Signals.Send(process, Signals.Stop);
        })),
        new("agent killed", (lab, node, _) => Do(() => lab.Cluster.Nodes[node].SignalAgent(Signals.Kill))),
    ];

    public static DatabaseFault Of(string name) => All.Single(fault => fault.Name == name);

    /// <summary>The node's PostgreSQL processes, the main one first; empty when none runs.</summary>
    private static async Task<IReadOnlyList<int>> ServersAsync(DatabaseLab lab, NodeName node)
    {
        List<int> named = [], found = [];
        foreach (var (id, words) in await RunningPrograms.InAsync(lab.Cluster.Network.Namespace(node.Value)))
        {
            if (words[0].EndsWith("/postgres", StringComparison.Ordinal) && words.Contains("-D")) named.Add(id);
            else if (words[0].StartsWith("postgres: ", StringComparison.Ordinal)) found.Add(id);
        }

        // A child has the main one's words until it has found its own.
        return [.. named.OrderBy(id => RunningPrograms.StatOf(id, RunningPrograms.Parent) is { } parent && named.Contains(parent)), .. found];
    }

    private static Task Do(Action act)
    {
        act();
        return Task.CompletedTask;
    }
}
