using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <summary>What is the matter with a volume.</summary>
internal static class VolumeFindings
{
    public static IEnumerable<Finding> Of(VolumeReport volume)
    {
        var subject = ResourceId.Volume(volume.Name).Value;
        var (inSync, behind) = (volume.Legs.Count(leg => leg.State == LegState.InSync), volume.Legs.Where(leg => leg.State is not (LegState.InSync or LegState.Following)).ToList());
        if (volume is { Service: { } service, Mounted: false })
            yield return new(Concern.Down, "volume-not-mounted", subject, $"{volume.Name} is mounted nowhere: {service} cannot run{(volume.Detail.Length > 0 ? $" ({volume.Detail})" : "")}",
                behind.Count > 0 ? $"Bring back the node of a leg that has every write: {string.Join(", ", behind.Where(leg => leg is { State: LegState.Away, Asynchronous: false }).Select(leg => leg.Node).DefaultIfEmpty(volume.Legs[0].Node))}"
                    : $"Look again in a few seconds; if it stays so, see evenkeel volume status {volume.Name}");
        foreach (var leg in behind.Where(leg => leg is { Asynchronous: true, State: LegState.Syncing or LegState.Stale }))
            yield return leg.State == LegState.Syncing
                ? new(Concern.Degraded, "leg-syncing", subject, $"the asynchronous leg of {volume.Name} on {leg.Node} gets what it lacks, and is inconsistent until then: nobody takes over on it", "Nothing: it mends itself")
                : new(Concern.Degraded, "leg-behind", subject, $"the asynchronous leg of {volume.Name} on {leg.Node} is behind{(leg.Detail.Length > 0 ? $" ({leg.Detail})" : "")}; nobody takes over on it",
                    "Nothing, if it was for a moment: it gets what it lacks once its line can take it. Else a faster line, or a larger 'backlog'");
        foreach (var leg in behind.Where(leg => !leg.Asynchronous || leg.State == LegState.Away))
            yield return leg.State == LegState.Syncing
                ? new(Concern.Degraded, "leg-syncing", subject, $"the leg of {volume.Name} on {leg.Node} gets what it lacks{(volume.Detail.Length > 0 ? $": {volume.Detail}" : "")}; {Copies(inSync)}", "Nothing: it mends itself")
                : new(Concern.Degraded, "leg-lost", subject, $"the leg of {volume.Name} on {leg.Node} is {(leg.State == LegState.Away ? "away" : "stale")}{(leg.Detail.Length > 0 ? $" ({leg.Detail})" : "")}; {Copies(inSync)}",
                    $"Bring {leg.Node} back, or mend its disk; a new, empty one is filled by itself");
    }

    private static string Copies(int inSync) => inSync == 1 ? "1 leg has every write" : $"{inSync} legs have every write";
}
