namespace Evenkeel.Services.Ocf.Tools;

/// <summary>An option of a tool: its letters, its long names, and whether a value follows.</summary>
internal sealed record ToolOption(string Name, string Letters, string[] LongNames, bool TakesValue);

/// <summary>Command lines as getopt_long reads them: <c>-n x</c>, <c>-nx</c>, <c>-GQ</c>, <c>--name x</c>, <c>--name=x</c>.</summary>
internal sealed class ToolOptions
{
    private readonly Dictionary<string, string> _given = new(StringComparer.Ordinal);

    public string? this[string name] => _given.GetValueOrDefault(name);
    public bool Has(string name) => _given.ContainsKey(name);
    /// <summary>What is no option.</summary>
    public List<string> Rest { get; } = [];
    /// <summary>In words; null when all was understood.</summary>
    public string? Problem { get; private set; }

    public static ToolOptions Parse(IReadOnlyList<string> arguments, params ReadOnlySpan<ToolOption> known)
    {
        var parsed = new ToolOptions();
        for (var i = 0; i < arguments.Count && parsed.Problem is null; i++)
        {
            var word = arguments[i];
            if (word.StartsWith("--", StringComparison.Ordinal) && word.Length > 2)
            {
                var parts = word[2..].Split('=', 2);
                var option = Find(known, one => one.LongNames.Contains(parts[0], StringComparer.Ordinal));
                parsed.Take(word, option, parts.Length == 2 ? parts[1] : null, arguments, ref i);
            }
            else if (word is ['-', _, ..])
            {
                for (var at = 1; at < word.Length && parsed.Problem is null; at++)
                {
                    var letter = word[at];
                    var option = Find(known, one => one.Letters.Contains(letter, StringComparison.Ordinal));
                    if (option is { TakesValue: true })
                    {
                        parsed.Take($"-{letter}", option, at + 1 < word.Length ? word[(at + 1)..] : null, arguments, ref i);
                        break;
                    }

                    parsed.Take($"-{letter}", option, null, arguments, ref i);
                }
            }
            else
            {
                parsed.Rest.Add(word);
            }
        }

        return parsed;
    }

    private static ToolOption? Find(ReadOnlySpan<ToolOption> known, Func<ToolOption, bool> matches)
    {
        foreach (var option in known)
        {
            if (matches(option))
            {
                return option;
            }
        }

        return null;
    }

    private void Take(string word, ToolOption? option, string? value, IReadOnlyList<string> arguments, ref int at)
    {
        if (option is null)
        {
            Problem = $"unknown option {word}";
        }
        else if (!option.TakesValue)
        {
            _given[option.Name] = "";
        }
        else if (value is not null || at + 1 < arguments.Count)
        {
            _given[option.Name] = value ?? arguments[++at];
        }
        else
        {
            Problem = $"{word} needs a value";
        }
    }
}
