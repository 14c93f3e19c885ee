using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Volumes in themselves, and the services that mount them.</summary>
internal static class VolumeChecks
{
    private const long MiB = 1 << 20;
    private const long LeastSize = 16 * MiB;
    private const int MostLegs = 8;
    private static readonly string[] s_ofAsynchronousLegs = ["backlog", "on_congestion", "accept_loss"];
    private const long LeastBacklog = 4 * MiB, MostBacklog = 1024 * MiB;

    public static void All(YamlMap file, Names names, ClusterSpec spec, Findings findings)
    {
        foreach (var volume in spec.Volumes.Values)
        {
            var at = $"volumes.{volume.Name}";
            Level(volume, at, findings);
            Legs(volume, names, spec, at, findings);
            if (volume.Size < LeastSize || volume.Size % MiB != 0)
                findings.Error(at + ".size", $"{ByteSize.Format(volume.Size)} is no size for a volume", "Write a multiple of 1MiB, at least 16MiB");
            Asynchronous(volume, (file.Get("volumes") as YamlMap)?.Get(volume.Name) as YamlMap, at, findings);
            foreach (var other in spec.Volumes.Values.Where(other => other.Port == volume.Port && string.CompareOrdinal(other.Name, volume.Name) < 0))
                findings.Error(at, $"its legs would be served at port {volume.Port}, as those of '{other.Name}'", "Give one of the two another 'port'");
            if (!spec.Services.Values.Any(service => service.Mounts.Any(mount => mount.Volume == volume.Name)))
                findings.Warning(at, "no service mounts it: nobody will write it", $"Add 'mounts: [\"{volume.Name}:/PATH\"]' to a service");
        }
        var volumes = file.Get("volumes") is YamlMap map ? map.Entries.Select(entry => entry.Key.Text).ToList() : [];
        foreach (var service in spec.Services.Values)
            Mounts(service, volumes, spec, $"services.{service.Name}", findings);
    }

    private static void Level(VolumeSpec volume, string at, Findings findings)
    {
        var why = volume.Level switch
        {
            1 or 10 => null,
            0 => "RAID 0 across nodes is lost with any one of them",
            5 or 6 => $"RAID {volume.Level} across nodes is refused: each small write would read from and write to several nodes before it may be acknowledged, "
                + "and a node lost in the middle of a write would damage data that nobody was writing (the write hole)",
            _ => $"there is no RAID {volume.Level}",
        };
        if (why is not null)
            findings.Error(at + ".raid", why, volume.Level is 5 or 6 ? "Write 'raid: 1' or 'raid: 10'; parity belongs on the disks of one node, below a leg" : "Write 'raid: 1' or 'raid: 10'");
        var least = volume.Level == 10 ? 4 : 2;
        if (volume.Level is 1 or 10 && (volume.Legs.Count < least || volume.Legs.Count > MostLegs || (volume.Level == 10 && volume.Legs.Count % 2 != 0)))
            findings.Error(at + ".members", $"RAID {volume.Level} across nodes has {(volume.Level == 10 ? "4, 6 or 8" : $"2 to {MostLegs}")} legs, not {volume.Legs.Count}", "Add or remove legs");
    }

    private static void Legs(VolumeSpec volume, Names names, ClusterSpec spec, string at, Findings findings)
    {
        for (var i = 0; i < volume.Legs.Count; i++)
        {
            var (node, path) = (volume.Legs[i].Node, volume.Legs[i].Path);
            if (!names.Nodes.Contains(node.Value))
                findings.Error($"{at}.members[{i}]", $"there is no node '{node}'", Spelling.Advice(node.Value, [.. names.Nodes]));
            else if (spec.Nodes.TryGetValue(node, out var found) && found.Role == NodeRole.Witness)
                findings.Error($"{at}.members[{i}]", $"{node} is a witness: it votes on who may write, and holds no data", "Take another node, or 'role: full'");
            if (volume.Legs.Take(i).Any(leg => leg.Node == node))
                findings.Error($"{at}.members[{i}]", $"{node} has a leg already: with it two copies would be lost", "Name one leg a node; join the disks of one node below a leg ('evenkeel raid')");
            if (spec.Volumes.Values.Any(other => other.Name != volume.Name && other.Legs.Any(leg => leg.Node == node && leg.Path == path) && string.CompareOrdinal(other.Name, volume.Name) < 0))
                findings.Error($"{at}.members[{i}]", $"{node}:{path} is a leg of another volume", "Name another file or device");
        }
    }

    private static void Asynchronous(VolumeSpec volume, YamlMap? own, string at, Findings findings)
    {
        var key = own?.Get("asynchronous") is null && own?.Get("protocol") is not null ? at + ".protocol" : at + ".asynchronous";
        foreach (var stranger in volume.Asynchronous.Where(node => volume.Legs.All(leg => leg.Node != node)))
            findings.Error(key, $"{stranger} has no leg of the volume", $"Name nodes of 'members': {string.Join(", ", volume.Legs.Select(leg => leg.Node))}");
        foreach (var twice in volume.Asynchronous.GroupBy(node => node).Where(group => group.Count() > 1))
            findings.Error(key, $"{twice.Key} is named twice", "Name it once");
        if (volume.Legs.Count > 0 && volume.Legs.All(leg => volume.IsAsynchronous(leg.Node)))
            findings.Error(key, "no leg is left that a write waits for: what is acknowledged would be on no leg for sure", "Leave one leg out at least, where the writer is most of the time");
        if (volume.Asynchronous.Count > 0 && volume.Level == 10)
            findings.Error(key, "legs of a RAID 10 hold a part each, and asynchronous ones would hold parts of different moments", "Write 'raid: 1', or leave the key out");
        if (volume.Backlog is < LeastBacklog or > MostBacklog)
            findings.Error(at + ".backlog", $"{ByteSize.Format(volume.Backlog)} is no size for a backlog", "Write 4MiB to 1GiB");
        if (volume.Asynchronous.Count == 0)
            foreach (var needless in s_ofAsynchronousLegs.Where(name => own?.Get(name) is not null))
                findings.Error($"{at}.{needless}", "the volume has no asynchronous leg, which alone it is about", "Name one under 'asynchronous', or remove the key");
    }

    private static void Mounts(ServiceSpec service, List<string> volumes, ClusterSpec spec, string at, Findings findings)
    {
        for (var i = 0; i < service.Mounts.Count; i++)
        {
            var mount = service.Mounts[i];
            if (!volumes.Contains(mount.Volume))
                findings.Error($"{at}.mounts[{i}]", $"there is no volume '{mount.Volume}'", Spelling.Advice(mount.Volume, [.. volumes]));
            foreach (var other in spec.Services.Values.Where(other => string.CompareOrdinal(other.Name, service.Name) < 0 && other.Mounts.Any(one => one.Volume == mount.Volume)))
                findings.Error($"{at}.mounts[{i}]", $"'{other.Name}' works on '{mount.Volume}' already: a volume has one writer", "Give each service a volume of its own");
            if (service.Objectives.Rpo == TimeSpan.Zero && spec.Volumes.TryGetValue(mount.Volume, out var lossy) && lossy.AcceptLoss)
                findings.Error($"{at}.mounts[{i}]", $"'objectives.rpo: 0s' promises that no acknowledged write is lost, but '{mount.Volume}' goes on at an asynchronous leg by itself ('accept_loss')",
                    $"Remove 'accept_loss' from the volume, or write an 'rpo' that allows for its backlog of {ByteSize.Format(lossy.Backlog)}");
            if (service.Mounts.Take(i).Any(one => one.Volume == mount.Volume || one.Path == mount.Path))
                findings.Error($"{at}.mounts[{i}]", "the volume or the path is there already", "Keep one of the two");
        }
        if (service.Mounts.Count > 0 && service is not { Activity: Activity.SingleActive, Redundancy: Redundancy.Cold })
            findings.Error(at + ".mounts", "a volume is mounted on one node at a time, but instances of this service run on several", "Write 'redundancy: cold'");
    }
}
