using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

public enum LegState
{
    /// <summary>It has every acknowledged write.</summary>
    InSync,
    /// <summary>Asynchronous: it has what the volume was a moment ago, and lacks no more than its backlog.</summary>
    Following,
    /// <summary>It is served, and gets what it lacks. An asynchronous one is inconsistent meanwhile: nobody takes over on it.</summary>
    Syncing,
    /// <summary>It is served, and lacks writes that nobody brings it: there is no writer, or it is asynchronous and fell behind.</summary>
    Stale,
    /// <summary>It is not served.</summary>
    Away,
}

/// <param name="Detail">Why it is away, in words.</param>
public sealed record VolumeLegReport(NodeName Node, string Path, LegState State, string Detail)
{
    /// <summary>It is written to after the answer, unless the writer is there.</summary>
    public bool Asynchronous { get; init; }
    /// <summary>Of an asynchronous leg: bytes of acknowledged writes that it lacks, exact while it follows, else at least so many. Null where only the writer's node knows.</summary>
    public long? BacklogBytes { get; init; }
    /// <summary>For how long the oldest of them has been acknowledged, in seconds; null where that is not known.</summary>
    public double? BacklogSeconds { get; init; }
}

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
