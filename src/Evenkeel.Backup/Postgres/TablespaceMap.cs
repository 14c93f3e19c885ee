using System.Text;

namespace Evenkeel.Backup.Postgres;

/// <summary>The file that tells a recovering server where its tablespaces lie: a line <c>OID LOCATION</c> for each.</summary>
/// <remarks>Source: PostgreSQL's documentation, "Making a Base Backup Using the Low Level API"; in a location a backslash stands before
/// a backslash and before a line break that belong to it.</remarks>
internal static class TablespaceMap
{
    public const string FileName = "tablespace_map";

    /// <summary>Where each lies, by its OID. Fails where a line is none of these.</summary>
    public static IReadOnlyList<(string Oid, string Location)> Parse(string text)
    {
        var entries = new List<(string, string)>();
        var line = new StringBuilder();
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\' && i + 1 < text.Length)
            {
                line.Append(text[++i]);
            }
            else if (text[i] is not '\n' and not '\r')
            {
                line.Append(text[i]);
            }
            else if (line.Length > 0)
            {
                Take();
            }
        }
        if (line.Length > 0)
        {
            Take();
        }
        return entries;

        void Take()
        {
            var parts = line.ToString().Split(' ', 2);
            line.Clear();
            entries.Add(parts is [{ Length: > 0 } oid, ['/', ..] location] && oid.All(char.IsAsciiDigit) ? (oid, location)
                : throw new RepositoryException(RepositoryError.UnknownFormat, $"{FileName} has the line '{string.Join(' ', parts)}', which names no tablespace"));
        }
    }

    public static string Write(IEnumerable<(string Oid, string Location)> entries) => string.Concat(entries.Select(entry =>
        $"{entry.Oid} {entry.Location.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\n", "\\\n", StringComparison.Ordinal).Replace("\r", "\\\r", StringComparison.Ordinal)}\n"));
}
