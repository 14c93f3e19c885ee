namespace Evenkeel.Agent.Configuration.Values;

/// <summary>'Did you mean': the known word nearest to an unknown one.</summary>
public static class Spelling
{
    /// <summary>The nearest of <paramref name="known"/> within a third of the word's length (at least 1, at most 3 edits), or null.</summary>
    public static string? Nearest(string word, IEnumerable<string> known)
    {
        var limit = Math.Clamp(word.Length / 3, 1, 3);
        var best = known.Select(candidate => (candidate, Distance: Distance(word, candidate)))
            .Where(pair => pair.Distance <= limit)
            .OrderBy(pair => pair.Distance).ThenBy(pair => pair.candidate, StringComparer.Ordinal)
            .FirstOrDefault();
        return best.candidate;
    }

    /// <summary><c>Did you mean 'X'?</c> without the question mark's full stop, or the whole list when nothing is near.</summary>
    public static string Advice(string word, IReadOnlyCollection<string> known) =>
        Nearest(word, known) is { } near ? $"Did you mean '{near}'?"
        : known.Count == 0 ? "None is defined"
        : "Known here: " + string.Join(", ", known.Order(StringComparer.Ordinal));

    // Damerau-Levenshtein (optimal string alignment): a swap of neighbours is the commonest slip.
    private static int Distance(string a, string b)
    {
        var d = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
            d[i, 0] = i;
        for (var j = 0; j <= b.Length; j++)
            d[0, j] = j;
        for (var i = 1; i <= a.Length; i++)
            for (var j = 1; j <= b.Length; j++)
            {
                var same = char.ToLowerInvariant(a[i - 1]) == char.ToLowerInvariant(b[j - 1]) ? 0 : 1;
                d[i, j] = Math.Min(Math.Min(d[i - 1, j] + 1, d[i, j - 1] + 1), d[i - 1, j - 1] + same);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    d[i, j] = Math.Min(d[i, j], d[i - 2, j - 2] + 1);
            }
        return d[a.Length, b.Length];
    }
}
