using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

public enum LegState
{
    /// <summary>It has every acknowledged write.</summary>
    InSync,
    /// <summary>It is served, and gets what it lacks.</summary>
    Syncing,
    /// <summary>It is served, and lacks writes that nobody brings it: there is no writer.</summary>
    Stale,
    /// <summary>It is not served.</summary>
    Away,
}

/// <param name="Detail">Why it is away, in words.</param>
public sealed record VolumeLegReport(NodeName Node, string Path, LegState State, string Detail);

/// <summary>A volume, where it is written, and who has what.</summary>
public sealed record VolumeReport
{
    public required string Name { get; init; }
    public required int Level { get; init; }
    public required long Size { get; init; }
    /// <summary>The service that works on it; null when none does.</summary>
    public string? Service { get; init; }
    public string? MountAt { get; init; }
    /// <summary>Who may write it.</summary>
    public Owner? Writer { get; init; }
    /// <summary>The writer has mounted it.</summary>
    public bool Mounted { get; init; }
    public required IReadOnlyList<VolumeLegReport> Legs { get; init; }
    /// <summary>What the writer does or waits for; empty when all is calm.</summary>
    public string Detail { get; set; } = "";
    /// <summary>Why the set of legs in sync is as it is.</summary>
    public string Reason { get; set; } = "";
}

/// <param name="Repair">Also make the legs equal where they disagree.</param>
public sealed record VerifyOrder(bool Repair);

/// <param name="Number">The writer's report bears it once the verification has ended.</param>
public sealed record VerifyBegun(long Number);
