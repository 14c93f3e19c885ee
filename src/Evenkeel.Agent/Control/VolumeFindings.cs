using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>What is the matter with a volume.</summary>
internal static class VolumeFindings
{
    public static IEnumerable<Finding> Of(VolumeReport volume)
    {
        var subject = ResourceId.Volume(volume.Name).Value;
        var (inSync, behind) = (volume.Legs.Count(leg => leg.State == LegState.InSync), volume.Legs.Where(leg => leg.State != LegState.InSync).ToList());
        if (volume is { Service: { } service, Mounted: false })
            yield return new(Concern.Down, "volume-not-mounted", subject, $"{volume.Name} is mounted nowhere: {service} cannot run{(volume.Detail.Length > 0 ? $" ({volume.Detail})" : "")}",
                behind.Count > 0 ? $"Bring back the node of a leg that has every write: {string.Join(", ", behind.Where(leg => leg.State == LegState.Away).Select(leg => leg.Node).DefaultIfEmpty(volume.Legs[0].Node))}"
                    : $"Look again in a few seconds; if it stays so, see evenkeel volume status {volume.Name}");
        foreach (var leg in behind)
            yield return leg.State == LegState.Syncing
                ? new(Concern.Degraded, "leg-syncing", subject, $"the leg of {volume.Name} on {leg.Node} gets what it lacks{(volume.Detail.Length > 0 ? $": {volume.Detail}" : "")}; {Copies(inSync)}", "Nothing: it mends itself")
                : new(Concern.Degraded, "leg-lost", subject, $"the leg of {volume.Name} on {leg.Node} is {(leg.State == LegState.Away ? "away" : "stale")}{(leg.Detail.Length > 0 ? $" ({leg.Detail})" : "")}; {Copies(inSync)}",
                    $"Bring {leg.Node} back, or mend its disk; a new, empty one is filled by itself");
    }

    private static string Copies(int inSync) => inSync == 1 ? "1 leg has every write" : $"{inSync} legs have every write";
}
