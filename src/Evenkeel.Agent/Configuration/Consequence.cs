using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>What applying one change does, in words: rules by the key's path.</summary>
internal static class Consequence
{
    public static (ChangeEffect Effect, string Words) Of(ChangeKind kind, string path, ClusterSpec? before, ClusterSpec after)
    {
        var steps = path.Split('.');
        return steps[0] switch
        {
            "cluster" when before is not null => (ChangeEffect.Impossible, "a running cluster keeps its name; make a new cluster"),
            "coordination" when before is not null => (ChangeEffect.Impossible, "a running cluster keeps its coordination store; make a new cluster"),
            "networks" when before is not null => (ChangeEffect.Restarts, "agents listen on new addresses: restart them one after another"),
            "timings" when before is not null => (ChangeEffect.None, "leases and beats follow the new times within one lease"),
            "telemetry" => (ChangeEffect.None, "agents send traces as the file says, within a second"),
            "alerts" => (ChangeEffect.None, "receivers are told as the file says, within a second"),
            "api" => (ChangeEffect.None, "each agent opens, moves or closes its TLS port for the control API within a second"),
            "backups" when steps.Length == 2 => kind == ChangeKind.Added ? (ChangeEffect.None, "it runs at the next moment of its schedules; evenkeel backup now begins it at once")
                : (ChangeEffect.None, "it runs no more; its repository stays as it is"),
            "backups" => (ChangeEffect.None, "from the next run on"),
            "vips" => OfVip(kind, steps, before, after),
            "nodes" => OfNode(kind, steps),
            "volumes" => VolumeText.Consequence(kind, steps),
            "services" => OfService(kind, steps, before, after),
            _ => (ChangeEffect.None, "part of the first spec"),
        };
    }

    private static (ChangeEffect, string) OfVip(ChangeKind kind, string[] steps, ClusterSpec? before, ClusterSpec after)
    {
        var doors = Doors(steps[1], before).Concat(Doors(steps[1], after)).Distinct().Order(StringComparer.Ordinal).ToList();
        var whose = doors.Count == 0 ? "no service is published there" : "doors of " + string.Join(", ", doors);
        return (kind, steps.Length, steps[^1]) switch
        {
            (ChangeKind.Added, 2, _) => (ChangeEffect.Starts, $"a node takes the address ({whose})"),
            (ChangeKind.Removed, 2, _) => (ChangeEffect.Stops, $"the address goes away, connections to it break ({whose})"),
            (_, _, "address") => (ChangeEffect.Stops, $"the old address goes away, connections to it break; a node takes the new one ({whose})"),
            (_, >= 4, _) when steps[2] == "hook" => (ChangeEffect.None, "its owner runs the hook as it is written now; the address stays"),
            _ => (ChangeEffect.Moves, "its owner may change: connections to the address break once, new ones work within a lease"),
        };
    }

    private static IEnumerable<string> Doors(string vip, ClusterSpec? spec) =>
        spec?.Services.Values.Where(service => service.Publish.Any(door => door.Vip == vip)).Select(service => service.Name) ?? [];

    private static (ChangeEffect, string) OfNode(ChangeKind kind, string[] steps) => (kind, steps.Length, steps.Length > 2 ? steps[2] : "") switch
    {
        (ChangeKind.Added, 2, _) => (ChangeEffect.Starts, "counts as lost until its agent runs there; hot services then start on it"),
        (ChangeKind.Removed, 2, _) => (ChangeEffect.Moves, "everything that runs there stops; exclusive resources move to other nodes. Drain it first for a move without failures"),
        (_, _, "public" or "private") => (ChangeEffect.Restarts, "restart the agent of this node; what it owns moves meanwhile"),
        (_, _, "role") => (ChangeEffect.Moves, "services are placed anew on or off this node"),
        (_, _, "votes") => (ChangeEffect.None, "the number of votes that make a majority changes"),
        (_, _, "capacity") => (ChangeEffect.Moves, "services move away if they no longer fit"),
        _ => (ChangeEffect.None, "known from the next decision on"),
    };

    private static (ChangeEffect, string) OfService(ChangeKind kind, string[] steps, ClusterSpec? before, ClusterSpec after)
    {
        var name = steps[1];
        var spec = after.Services.GetValueOrDefault(name) ?? before?.Services.GetValueOrDefault(name);
        var instances = spec is { Instances: 1 } ? "1 instance" : $"{spec?.Instances} instances";
        if (steps.Length == 2)
            return kind == ChangeKind.Added ? (ChangeEffect.Starts, $"{instances} start{(spec?.Instances == 1 ? "s" : "")}")
                : (ChangeEffect.Stops, $"{instances} stop; its doors close");
        return steps[2].Split('[')[0] switch
        {
            "process" or "ocf" or "systemd" when steps[^1] is "stop_timeout" or "stop_signal" or "start_timeout" or "promote_timeout" or "monitor" or "monitor_timeout" => (ChangeEffect.None, "from the next start or stop on"),
            "process" or "ocf" or "systemd" or "port" when spec is { Activity: Activity.Spread, Instances: > 1 } => (ChangeEffect.Restarts, $"its {instances} restart; the doors send requests to those that are healthy"),
            "process" or "ocf" or "systemd" or "port" => (ChangeEffect.Restarts, "it restarts: an outage as long as its stop and its start"),
            "health" => (ChangeEffect.None, "probes change; nothing restarts"),
            "publish" when kind == ChangeKind.Removed => (ChangeEffect.Reroutes, "the door closes; nothing restarts"),
            "publish" => (ChangeEffect.Reroutes, "the door opens or balances otherwise; nothing restarts, connections to healthy instances go on"),
            "mounts" => (ChangeEffect.Restarts, "it restarts on its volumes: an outage as long as its stop, the mounts and its start"),
            "redundancy" or "activity" => (ChangeEffect.Restarts, "it is placed anew: instances start and stop"),
            "instances" => OfInstances(name, before, after),
            "placement" or "needs" => (ChangeEffect.Moves, "it moves if where it runs breaks with, apart or capacity; a preferred node alone moves nothing without failback"),
            "drain_timeout" => (ChangeEffect.None, "from the next drain on"),
            "depends_on" => (ChangeEffect.None, "the order of the next start and stop changes"),
            _ => (ChangeEffect.None, "nothing that runs changes; it is judged by the new goal"),
        };
    }

    private static (ChangeEffect, string) OfInstances(string name, ClusterSpec? before, ClusterSpec after)
    {
        var (had, has) = (before?.Services.GetValueOrDefault(name)?.Instances ?? 0, after.Services.GetValueOrDefault(name)?.Instances ?? 0);
        return has > had ? (ChangeEffect.Starts, $"{has - had} more start; those that run stay")
            : (ChangeEffect.Stops, $"{had - has} of {had} are drained, then stop");
    }
}
