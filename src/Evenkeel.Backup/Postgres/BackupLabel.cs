using System.Globalization;
using System.Text.RegularExpressions;

namespace Evenkeel.Backup.Postgres;

/// <summary>What a server says about a base backup of it in <c>backup_label</c>.</summary>
/// <param name="Segment">The first file of the log that its recovery reads.</param>
/// <param name="Start">Where in the log it begins.</param>
/// <param name="Timeline">On which timeline.</param>
internal sealed partial record BackupLabel(string Segment, ulong Start, uint Timeline)
{
    public const string FileName = "backup_label";

    /// <summary>Fails where the text is no such label.</summary>
    public static BackupLabel Parse(string text)
    {
        var start = StartLine().Match(text);
        var timeline = TimelineLine().Match(text);
        return start.Success && timeline.Success && uint.TryParse(timeline.Groups[1].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? new BackupLabel(start.Groups[2].Value, LogPosition.Parse(start.Groups[1].Value), number)
            : throw new RepositoryException(RepositoryError.UnknownFormat, "PostgreSQL's backup label does not say where in the log the backup begins");
    }

    [GeneratedRegex(@"^START WAL LOCATION: ([0-9A-F]{1,8}/[0-9A-F]{1,8}) \(file ([0-9A-F]{24})\)", RegexOptions.Multiline)]
    private static partial Regex StartLine();

    [GeneratedRegex(@"^START TIMELINE: ([0-9]+)", RegexOptions.Multiline)]
    private static partial Regex TimelineLine();
}
