using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using YamlDotNet.Core;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>
/// What must not leave this node, and how it is cut out of text: every secret known by its value, wherever it stands (a service may
/// have logged it), and what looks like one by its form. Whole files of secrets are never read into a bundle to begin with.
/// </summary>
internal sealed partial class Secrets
{
    public const string Cutout = "(cut out)";
    // A shorter value would be found in every other word; its own place in the file is cut all the same.
    private const int ShortestValue = 4;
    private const int ShortestKeyLine = 16;
    private const long LargestFile = 1 << 20;

    private readonly string[] _values;

    /// <param name="values">Known secrets; short ones are passed over.</param>
    public Secrets(IEnumerable<string> values) =>
        _values = [.. values.Select(value => value.Trim()).Where(value => value.Length >= ShortestValue && value is not "true" and not "false" and not "null")
            .Distinct(StringComparer.Ordinal).OrderByDescending(value => value.Length)];

    /// <summary>Every secret of a node's state directory: private keys, tokens, and what its cluster file holds or names.</summary>
    public static Secrets Of(string stateDirectory)
    {
        var values = new List<string>();
        foreach (var file in Files(stateDirectory, "*.key"))
        {
            // A line of the key alone is enough of it to be kept.
            values.AddRange(Read(file).Split('\n').Where(line => line.Length >= ShortestKeyLine && !line.StartsWith("-----", StringComparison.Ordinal)));
        }

        values.AddRange(Tokens(Read(Path.Combine(stateDirectory, "ca", "tokens.json"))));
        var source = Read(Path.Combine(stateDirectory, "cluster.yaml"));
        values.AddRange(Places(source).Select(place => place.Value));
        values.AddRange(NamedFile().Matches(source).Select(match => Read(match.Groups["file"].Value)));
        return new Secrets(values);
    }

    /// <summary>The text with all secrets cut out; what is around them stays.</summary>
    public string Cut(string text)
    {
        var cut = new StringBuilder(text);
        foreach (var value in _values)
        {
            cut.Replace(value, Cutout);
            // As JSON writes it.
            var escaped = JsonEncodedText.Encode(value).ToString();
            if (escaped != value)
            {
                cut.Replace(escaped, Cutout);
            }
        }

        var known = PrivateKey().Replace(cut.ToString(), Cutout);
        known = UserInAddress().Replace(known, "${scheme}" + Cutout + "@");
        known = Bearer().Replace(known, "${kind} " + Cutout);
        return Assignment().Replace(known, match => SecretNames.Say(match.Groups["name"].Value) && match.Groups["value"].Value.Trim('"', '\'') is { } value && !IsHarmless(value)
            ? match.Groups["before"].Value + Cutout : match.Value);
    }

    /// <summary>A cluster file: as <see cref="Cut"/>, and each secret at its own place, however short.</summary>
    public string CutFile(string source)
    {
        IReadOnlyList<SecretPlace> places;
        try
        {
            places = FileSecrets.Find(source);
        }
        catch (YamlException exception)
        {
            // Where its structure is not known, nobody can say what in it is secret.
            return $"# left out: it cannot be parsed ({exception.Message})\n";
        }

        var cut = new StringBuilder(source);
        foreach (var place in places.Reverse())
        {
            cut.Remove(place.From, place.To - place.From).Insert(place.From, $"\"{Cutout}\"");
        }

        return Cut(Comment().Replace(cut.ToString(), ""));
    }

    private static bool IsHarmless(string value) =>
        value.Length == 0 || value == Cutout || value.StartsWith('/') || value.StartsWith('(') || value is "true" or "false" or "null" or "{" or "[";

    private static IReadOnlyList<SecretPlace> Places(string source)
    {
        try
        {
            return FileSecrets.Find(source);
        }
        catch (YamlException)
        {
            return []; // It is left out as a whole.
        }
    }

    private static IEnumerable<string> Tokens(string book)
    {
        try
        {
            using var document = JsonDocument.Parse(book.Length > 0 ? book : "[]");
            return [.. document.RootElement.EnumerateArray().SelectMany(entry => entry.EnumerateObject())
                .Where(field => field.Name.Equals("hash", StringComparison.OrdinalIgnoreCase)).Select(field => field.Value.GetString() ?? "")];
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return [book];
        }
    }

    private static IEnumerable<string> Files(string directory, string pattern)
    {
        try
        {
            return [.. Directory.EnumerateFiles(directory, pattern, new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 3, IgnoreInaccessible = true })];
        }
        catch (IOException)
        {
            return [];
        }
    }

    private static string Read(string file)
    {
        try
        {
            return new FileInfo(file) is { Exists: true, Length: <= LargestFile } ? File.ReadAllText(file) : "";
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return ""; // What we cannot read, we cannot give away.
        }
    }

    [GeneratedRegex("""(?<name>[\w-]*file)["']?\s*:\s*["']?(?<file>/[^\s"',}\]]+)""", RegexOptions.None, 2_000)]
    private static partial Regex NamedFile();

    [GeneratedRegex("-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", RegexOptions.Singleline, 2_000)]
    private static partial Regex PrivateKey();

    [GeneratedRegex(@"(?<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/@""']+@", RegexOptions.IgnoreCase, 2_000)]
    private static partial Regex UserInAddress();

    [GeneratedRegex(@"\b(?<kind>Bearer|Basic)\s+[A-Za-z0-9+/._~=-]{8,}", RegexOptions.IgnoreCase, 2_000)]
    private static partial Regex Bearer();

    // name=value, name: value, "name":"value", --name value
    [GeneratedRegex("""(?<before>["']?(?<name>(?<![\w-])-{0,2}[A-Za-z][\w-]*)["']?(\s*[=:]\s*|(?<=--[\w-]+)\s+))(?<value>"(\\.|[^"\\])*"|'[^']*'|[^\s,;}\]"']+)""", RegexOptions.None, 5_000)]
    private static partial Regex Assignment();

    [GeneratedRegex(@"(?m)(?<=^|\s)#.*$", RegexOptions.None, 2_000)]
    private static partial Regex Comment();
}
