using System.Text.Json.Serialization;

namespace Evenkeel.Agent.Preflight;

public enum PreflightVerdict
{
    /// <summary>As it should be.</summary>
    Passed,
    /// <summary>Nothing is wrong, but someone should know; or it could not be looked at.</summary>
    Note,
    /// <summary>It works, with a weaker promise than it could give.</summary>
    Warning,
    /// <summary>It will not work, or a promise of the cluster's cannot be kept.</summary>
    Failed,
}

/// <summary>What one check found on one node.</summary>
/// <param name="Check">Stable word for programs; docs/operations/preflight.md has all of them.</param>
/// <param name="Node">Where it was looked at; empty for what concerns the cluster as a whole.</param>
/// <param name="What">For people.</param>
/// <param name="Mend">What to do about it; null where nothing is to be done.</param>
public sealed record PreflightFinding(PreflightVerdict Verdict, string Check, string Node, string What, string? Mend = null)
{
    /// <summary>It failed, and the asker has said that it may.</summary>
    public bool Accepted { get; init; }
}

/// <summary>The validation of one server before it is a node, or of all nodes of a running cluster.</summary>
/// <param name="Nodes">Those that were looked at.</param>
public sealed record PreflightReport(string Cluster, IReadOnlyList<string> Nodes, DateTimeOffset At, IReadOnlyList<PreflightFinding> Findings)
{
    /// <summary>The greatest of all findings'.</summary>
    public PreflightVerdict Verdict => Findings.Where(finding => !finding.Accepted).Select(finding => finding.Verdict).DefaultIfEmpty(PreflightVerdict.Passed).Max();

    /// <summary>The same, with what failed in these checks accepted: it is said, and counts no more.</summary>
    public PreflightReport Accepting(IReadOnlyCollection<string> checks) => this with
    {
        Findings = [.. Findings.Select(finding => finding.Verdict >= PreflightVerdict.Warning && checks.Contains(finding.Check) ? finding with { Accepted = true } : finding)],
    };
}

/// <summary>A node's clocks at one moment, to be compared with another's.</summary>
/// <param name="BootNanoseconds">CLOCK_BOOTTIME, which leases are counted on.</param>
/// <param name="WallNanoseconds">Since 1970, UTC.</param>
public sealed record ClockReading(long BootNanoseconds, long WallNanoseconds);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PreflightReport))]
[JsonSerializable(typeof(ClockReading))]
public sealed partial class PreflightJson : JsonSerializerContext;
