using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Evenkeel.Agent.Diagnostics;

/// <param name="From">Where it begins in the text, quotes included.</param>
/// <param name="To">Where what follows it begins.</param>
internal readonly record struct SecretPlace(int From, int To, string Value);

/// <summary>
/// Finds the secrets that a cluster's file holds: values of keys and environment variables with such names, parameters of fence
/// agents, addresses of webhooks (their path often is the secret) and the headers that are sent, and what follows an option with such a name on a command line.
/// </summary>
internal static class FileSecrets
{
    // Parameters of fence agents that are worth knowing and no secret; any other one may be.
    private static readonly HashSet<string> plain = new(StringComparer.Ordinal)
    {
        "agent", "ip", "ipaddr", "ipport", "port", "plug", "username", "login", "delay", "time_limit", "monitor", "power_on", "method", "lanplus", "ssl", "ssl_insecure",
        "password_file", "passwd_file", "identity_file",
    };

    private sealed class Level(bool isMap, string? name)
    {
        public bool IsMap => isMap;
        /// <summary>The key that this stands under.</summary>
        public string? Name => name;
        /// <summary>In a map, the key whose value comes next; in a list, the item before.</summary>
        public string? Before { get; set; }
    }

    /// <summary>In the order of the text. What cannot be parsed yields what stands before the fault, and the caller must not trust it.</summary>
    /// <exception cref="YamlException">It is no YAML.</exception>
    public static IReadOnlyList<SecretPlace> Find(string text)
    {
        var found = new List<SecretPlace>();
        var levels = new Stack<Level>();
        var parser = new Parser(new StringReader(text));
        while (parser.MoveNext())
        {
            switch (parser.Current)
            {
                case MappingStart or SequenceStart:
                    levels.Push(new Level(parser.Current is MappingStart, TakeName(levels)));
                    break;
                case MappingEnd or SequenceEnd:
                    levels.Pop();
                    break;
                case AnchorAlias:
                    _ = TakeName(levels);
                    break;
                case Scalar scalar when levels.TryPeek(out var level):
                    if (level is { IsMap: true, Before: null })
                    {
                        level.Before = scalar.Value;
                        break;
                    }

                    var name = TakeName(levels);
                    if (IsSecret(levels, level, name, scalar.Value))
                    {
                        found.Add(new SecretPlace((int)scalar.Start.Index, (int)scalar.End.Index, scalar.Value));
                    }

                    if (!level.IsMap)
                    {
                        level.Before = scalar.Value;
                    }

                    break;
            }
        }

        return found;
    }

    private static bool IsSecret(Stack<Level> levels, Level level, string? name, string value)
    {
        if (value.Length == 0 || value.StartsWith('/') || value.StartsWith("./", StringComparison.Ordinal))
        {
            return false;
        }

        return level.IsMap
            ? SecretNames.Say(name!) || level.Name == "headers" && levels.All(one => one.Name != "publish") || levels.Any(one => one.Name == "fence") && !plain.Contains(name!)
            : level.Before is { } before && before.StartsWith('-') && !before.Contains('=', StringComparison.Ordinal) && SecretNames.Say(before)
                || SecretNames.Say(level.Name ?? "");
    }

    /// <summary>The name under which the next value of the innermost level stands, which is used up thereby.</summary>
    private static string? TakeName(Stack<Level> levels)
    {
        if (!levels.TryPeek(out var level))
        {
            return null;
        }

        if (!level.IsMap)
        {
            return level.Name;
        }

        var name = level.Before;
        level.Before = null;
        return name;
    }
}
