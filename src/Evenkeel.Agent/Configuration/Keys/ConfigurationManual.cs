using System.Text;
using Evenkeel.Agent.Configuration.Checks;
using Evenkeel.Agent.Configuration.Values;

namespace Evenkeel.Agent.Configuration.Keys;

/// <summary>The description of keys as docs/configuration.md: every key with its values, unit, range and default.</summary>
public static class ConfigurationManual
{
    private const string Opening = """
        # cluster.yaml

        <!-- Written by `evenkeel config reference`; a test compares. Change src/Evenkeel.Agent/Configuration/Keys instead. -->

        One file says what must keep running. It is YAML 1.2: one document, no merge keys, anchors allowed.
        `evenkeel config check FILE` reports everything that is wrong at once, each with line, column, key and how to mend it.
        `evenkeel config schema` prints a JSON schema for editors ([cluster.schema.json](cluster.schema.json)).

        - **Times** carry their unit: `us`, `ms`, `s`, `m`, `h`, `d`, `w`; `1m30s` is allowed, a bare number is not (except `0`).
        - **Sizes**: `20GiB` (1024³), `500MB` (1000²), `4096` (bytes).
        - **Lists** of one may be written without brackets.
        - **Names** are 1 to 63 of `a-z`, `0-9` and `-`, beginning with a letter.
        - **Placeholders** in commands and environments: `{private}`, `{public}`, `{node}`, `{port}`.

        """;

    public static string Text()
    {
        var text = new StringBuilder(Opening);
        Section(text, ClusterKeys.File);
        return text.ToString().ReplaceLineEndings("\n");
    }

    private static void Section(StringBuilder text, KeysShape shape)
    {
        text.Append($"\n## {shape.Title}\n\n");
        if (shape.OneOf is { } oneOf)
            text.Append($"Exactly one of {string.Join(", ", oneOf.Select(name => $"`{name}`"))}.\n\n");
        text.Append("| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
        foreach (var key in shape.Keys)
            text.Append(key.NotYet is { } later
                ? $"| `{key.Name}` | | | {key.Help} Not yet supported: using it is an error. |\n"
                : $"| {(key.Name == "*" ? "any other" : $"`{key.Name}`")} | {Value(key.Shape)} | {(key.Required ? "**required**" : key.Default ?? "")} | {key.Help} |\n");
        foreach (var inner in shape.Keys.Where(key => key.NotYet is null).SelectMany(key => Sections(key.Shape)))
            Section(text, inner);
    }

    private static IEnumerable<KeysShape> Sections(Shape shape) => shape switch
    {
        KeysShape keys => [keys],
        NamesShape names => Sections(names.Value),
        ListShape list => Sections(list.Item),
        EitherShape either => either.Alternatives.SelectMany(Sections),
        _ => [],
    };

    private static string Value(Shape shape) => shape switch
    {
        KeysShape keys => $"[keys](#{Anchor(keys.Title)})",
        NamesShape names => $"name: {Value(names.Value)}",
        ListShape list => $"list of: {Value(list.Item)}",
        EitherShape either => string.Join(", or ", either.Alternatives.Select(Value)),
        ChoiceShape choice => string.Join(", ", choice.Values.Select(value => $"`{value}`")),
        DurationShape range => $"time, {Duration.Format(range.Least)} to {Duration.Format(range.Greatest)}",
        IntegerShape range when range.Least == range.Greatest => $"`{range.Least}`",
        TextShape { Pattern: Shapes.NamePattern } => "name",
        _ => Words.Of(shape),
    };

    // GitHub's rule for headings: lower case, dots and brackets dropped.
    private static string Anchor(string title) => title.ToLowerInvariant().Replace(".", "", StringComparison.Ordinal).Replace("[]", "", StringComparison.Ordinal);
}
