using System.Globalization;
using System.Text.RegularExpressions;

namespace Evenkeel.Backup.Postgres;

/// <summary>A file with the main data of a table or an index: which one, and which segment of it.</summary>
/// <param name="Database">Its OID; 0 for what all databases share.</param>
/// <param name="Relation">The number that names the file (pg_class.relfilenode).</param>
/// <param name="Segment">A relation's file ends at 1 GiB and goes on in the next one.</param>
/// <remarks>Source: PostgreSQL's documentation, "Database File Layout".</remarks>
internal readonly partial record struct RelationFile(uint Database, uint Relation, uint Segment)
{
    /// <summary>The tablespace in the server's own <c>base</c>.</summary>
    public const uint DefaultTablespace = 1663;

    /// <summary>The tablespace in the server's own <c>global</c>.</summary>
    public const uint GlobalTablespace = 1664;

    /// <summary>
    /// Reads a path below the server's directory (<c>base/5/1259</c>, <c>global/1262</c>) or below a tablespace's location
    /// (<c>PG_17_202406281/5/16384.1</c>). Null for all else, and that includes free space maps, visibility maps and temporary tables.
    /// </summary>
    public static RelationFile? Parse(string relative)
    {
        var match = Name().Match(relative);
        return match.Success && Number("database", out var database) && Number("relation", out var relation) && Number("segment", out var segment)
            ? new RelationFile(database, relation, segment) : null;

        bool Number(string group, out uint value)
        {
            value = 0;
            return !match.Groups[group].Success || uint.TryParse(match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out value);
        }
    }

    [GeneratedRegex(@"^(?:global|(?:base|PG_[^/]+)/(?<database>[0-9]+))/(?<relation>[0-9]+)(?:\.(?<segment>[0-9]+))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Name();
}
