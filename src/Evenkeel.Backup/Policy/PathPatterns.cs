using System.Text;
using System.Text.RegularExpressions;

namespace Evenkeel.Backup.Policy;

/// <summary>
/// Path patterns with restic's rules: <c>*</c>, <c>?</c> and <c>[a-z]</c> within a name, <c>**</c> over any number of directories, a
/// leading <c>/</c> anchors at the root, anything else matches at every depth; <c>!</c> takes back. The last match decides.
/// </summary>
public sealed class PathPatterns
{
    /// <summary>Matches nothing.</summary>
    public static readonly PathPatterns None = new([]);

    private readonly List<(Regex Expression, bool Matches)> _rules = [];

    /// <summary>Fails with <see cref="FormatException"/> on a pattern that makes no sense.</summary>
    public PathPatterns(IReadOnlyList<string> patterns)
    {
        Patterns = patterns;
        foreach (var pattern in patterns)
        {
            var negated = pattern.StartsWith('!');
            var body = (negated ? pattern[1..] : pattern).TrimEnd('/');
            if (body.Length == 0)
            {
                throw new FormatException($"the pattern '{pattern}' is empty");
            }
            try
            {
                // Backtracking without end is not possible with this engine, whatever the pattern.
                _rules.Add((new Regex(Translate(body), RegexOptions.NonBacktracking | RegexOptions.CultureInvariant), !negated));
            }
            catch (ArgumentException e)
            {
                throw new FormatException($"the pattern '{pattern}' is not valid", e);
            }
        }
    }

    /// <summary>As given.</summary>
    public IReadOnlyList<string> Patterns { get; }

    /// <summary>Whether an absolute path matches.</summary>
    public bool Matches(string path)
    {
        for (var i = _rules.Count - 1; i >= 0; i--)
        {
            if (_rules[i].Expression.IsMatch(path))
            {
                return _rules[i].Matches;
            }
        }
        return false;
    }

    internal bool Matches(ReadOnlySpan<byte> path) => _rules.Count > 0 && Matches(Encoding.UTF8.GetString(path));

    private static string Translate(string pattern)
    {
        var anchored = pattern.StartsWith('/');
        var text = new StringBuilder(anchored ? "^" : "^(?:.*/)?");
        var parts = (anchored ? pattern[1..] : pattern).Split('/');
        for (var i = 0; i < parts.Length; i++)
        {
            var last = i == parts.Length - 1;
            if (parts[i] == "**")
            {
                text.Append(anchored && i == 0 ? "/" : "").Append(last ? ".*" : "(?:[^/]*/)*");
                continue;
            }
            if (i > 0 ? parts[i - 1] != "**" : anchored)
            {
                text.Append('/');
            }
            TranslateName(text, parts[i]);
        }
        return text.Append('$').ToString();
    }

    private static void TranslateName(StringBuilder text, string name)
    {
        for (var i = 0; i < name.Length; i++)
        {
            switch (name[i])
            {
                case '*': text.Append("[^/]*"); break;
                case '?': text.Append("[^/]"); break;
                case '\\' when i + 1 < name.Length: text.Append(Regex.Escape(name[++i].ToString())); break;
                case '[' when name.IndexOf(']', i + 1) is > 0 and var end:
                    text.Append('[').Append(name[(i + 1)..end].Replace("\\", "\\\\", StringComparison.Ordinal)).Append(']');
                    i = end;
                    break;
                default: text.Append(Regex.Escape(name[i].ToString())); break;
            }
        }
    }
}
