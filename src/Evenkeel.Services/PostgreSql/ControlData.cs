using System.Globalization;

namespace Evenkeel.Services.PostgreSql;

/// <summary>What <c>pg_controldata</c> says of a data directory at rest (its text with <c>LC_ALL=C</c>).</summary>
internal sealed record ControlData
{
    public required string System { get; init; }
    public required string State { get; init; }
    /// <summary>Of the last checkpoint or of what recovery has reached, whichever is later.</summary>
    public required int Timeline { get; init; }
    /// <summary>Where the last checkpoint's record begins.</summary>
    public required long Checkpoint { get; init; }
    /// <summary>Standbys: recovery must have gone so far; zero otherwise.</summary>
    public required long RecoveredTo { get; init; }
    public required long SegmentBytes { get; init; }

    /// <summary>It was shut down in order as a primary: the checkpoint is its last record.</summary>
    public bool WasPrimaryAndClosed => State == "shut down";
    /// <summary>It ran as a primary and crashed: what is in its log after the checkpoint is not known.</summary>
    public bool WasPrimaryAndCrashed => State is "in production" or "shutting down" or "in crash recovery";
    /// <summary>At least so far it has the log.</summary>
    public long Position => Math.Max(Checkpoint, RecoveredTo);

    /// <exception cref="FormatException">A line that every version from 13 to 17 writes is missing.</exception>
    public static ControlData Parse(string text)
    {
        var fields = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n'))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0)
            {
                fields.TryAdd(line[..colon].Trim(), line[(colon + 1)..].Trim());
            }
        }

        string Get(string name) => fields.GetValueOrDefault(name) ?? throw new FormatException($"pg_controldata does not say '{name}'");
        int Number(string name) => int.Parse(Get(name), CultureInfo.InvariantCulture);
        return new ControlData
        {
            System = Get("Database system identifier"),
            State = Get("Database cluster state"),
            Timeline = Math.Max(Number("Latest checkpoint's TimeLineID"), Number("Min recovery ending loc's timeline")),
            Checkpoint = WalPosition.Parse(Get("Latest checkpoint location")),
            RecoveredTo = WalPosition.Parse(Get("Minimum recovery ending location")),
            SegmentBytes = Number("Bytes per WAL segment"),
        };
    }
}
