using System.Text.RegularExpressions;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// What stands in <c>postgresql.auto.conf</c>: ALTER SYSTEM, <c>pg_basebackup -R</c> and restores write there, and it outranks every
/// file of ours. What is not the user's to set is taken out again, else commits could stop waiting for whom the cluster relies on.
/// </summary>
internal static partial class AlteredSettings
{
    public const string FileName = "postgresql.auto.conf";

    /// <summary>Those that decide which acknowledged writes are on which node.</summary>
    private static readonly string[] s_decidesDurability = ["synchronous_standby_names", "synchronous_commit", "fsync", "full_page_writes"];

    /// <param name="parameters">What the cluster file sets: it alone says so.</param>
    /// <returns>The text without those lines, and the names that were in them.</returns>
    public static (string Text, IReadOnlyList<string> Removed) Without(string text, IReadOnlyDictionary<string, string> parameters)
    {
        var removed = new List<string>();
        var kept = text.Split('\n').Where(line =>
        {
            if (Setting().Match(line) is not { Success: true } setting)
            {
                return true;
            }

            var name = setting.Groups["name"].Value;
            if (!PostgreSqlParameters.MustBeOurs(name, Value(setting)) && !parameters.Keys.Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                return true;
            }

            removed.Add(name);
            return false;
        }).ToList();
        return (string.Join('\n', kept), [.. removed.Distinct(StringComparer.OrdinalIgnoreCase)]);
    }

    /// <summary>The names in it that the user must not set, whatever the cluster file says.</summary>
    public static IReadOnlyList<string> Refused(string text) => Without(text, new Dictionary<string, string>()).Removed;

    public static bool DecidesDurability(string name) => s_decidesDurability.Contains(name, StringComparer.OrdinalIgnoreCase);

    private static string Value(Match setting) => setting.Groups["quoted"] is { Success: true } quoted ? quoted.Value.Replace("''", "'", StringComparison.Ordinal) : setting.Groups["bare"].Value;

    // Values of more than one line are refused by ALTER SYSTEM.
    [GeneratedRegex("""^\s*(?<name>[A-Za-z_][A-Za-z0-9_.$]*)\s*(=|\s)\s*('(?<quoted>([^'\\]|''|\\.)*)'|(?<bare>[^\s#']+))""")]
    private static partial Regex Setting();
}
