using System.Globalization;
using System.Text.RegularExpressions;
using Evenkeel.Agent.Configuration.Keys;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Configuration.Yaml;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Compares a file's tree with the description of its keys: unknown and missing keys, kinds of values, ranges.</summary>
internal sealed class ShapeCheck(Findings findings)
{
    public void Check(YamlValue value, Shape shape, string path)
    {
        switch (shape)
        {
            case EitherShape either:
                Check(value, either.Alternatives.FirstOrDefault(alternative => IsOfKind(value, alternative)) ?? either.Alternatives[^1], path);
                break;
            case KeysShape keys when value is YamlMap map:
                CheckKeys(map, keys, path);
                break;
            case NamesShape names when value is YamlMap map:
                foreach (var entry in map.Entries)
                {
                    if (!Matches(entry.Key.Text, names.NamePattern))
                        findings.Error(entry.Key, KeyPath.Join(path, entry.Key.Text), $"'{entry.Key.Text}' is not {names.NameWhat}", "Rename it");
                    Check(entry.Value, names.Value, KeyPath.Join(path, entry.Key.Text));
                }
                break;
            case ListShape list when value is YamlList items:
                if (items.Items.Count < list.Least)
                    findings.Error(value, path, "the list is empty", $"Give at least {list.Least}");
                for (var i = 0; i < items.Items.Count; i++)
                    Check(items.Items[i], list.Item, $"{path}[{i}]");
                break;
            case ListShape { OrOne: true } list when IsOfKind(value, list.Item) && value is not YamlScalar { IsNull: true }:
                Check(value, list.Item, path);
                break;
            case KeysShape or NamesShape or ListShape:
                if (value is not YamlScalar { IsNull: true } || (shape is ListShape { Least: > 0 }) || shape is KeysShape { OneOf: not null })
                    findings.Error(value, path, $"{Words.Of(shape)} expected, {Words.Of(value)} found", Words.Example(shape));
                break;
            default:
                if (value is YamlScalar scalar)
                    CheckScalar(scalar, shape, path);
                else
                    findings.Error(value, path, $"{Words.Of(shape)} expected, {Words.Of(value)} found", Words.Example(shape));
                break;
        }
    }

    private void CheckKeys(YamlMap map, KeysShape shape, string path)
    {
        var open = shape.Keys.FirstOrDefault(key => key.Name == "*");
        foreach (var entry in map.Entries)
        {
            var entryPath = KeyPath.Join(path, entry.Key.Text);
            var key = shape.Keys.FirstOrDefault(known => known.Name == entry.Key.Text) ?? open;
            if (key is null)
                findings.Error(entry.Key, entryPath, $"unknown key '{entry.Key.Text}'", UnknownKeyAdvice(entry.Key.Text, shape));
            else if (key.NotYet is not null)
                findings.Error(entry.Key, entryPath, $"{key.NotYet} are not yet supported by this version", "Remove the key until a version that supports it");
            else
                Check(entry.Value, key.Shape, entryPath);
        }
        foreach (var missing in shape.Keys.Where(key => key.Required && map.Get(key.Name) is null))
            findings.Error(path, $"the key '{missing.Name}' is missing", $"Add '{missing.Name}:' ({missing.Help.TrimEnd('.')})");
        if (shape.OneOf is { } oneOf)
        {
            var given = oneOf.Where(name => map.Get(name) is not null).ToList();
            if (given.Count != 1)
                findings.Error(path, given.Count == 0 ? $"none of {string.Join(", ", oneOf)} is given" : $"{string.Join(" and ", given)} exclude each other",
                    given.Count == 0 ? "Add one of them" : "Keep one of them");
        }
    }

    private static string UnknownKeyAdvice(string key, KeysShape shape) =>
        key == "<<" ? "Merge keys are not supported: repeat the keys"
        : Spelling.Advice(key, [.. shape.Keys.Where(known => known.NotYet is null && known.Name != "*").Select(known => known.Name)]);

    private void CheckScalar(YamlScalar value, Shape shape, string path)
    {
        var problem = shape switch
        {
            _ when value.IsNull => "nothing",
            TextShape text => value.Text.Length > 0 && (text.Pattern is null || Matches(value.Text, text.Pattern)) ? null : $"'{value.Text}'",
            ChoiceShape choice => choice.Values.Contains(value.Text) ? null : $"'{value.Text}'",
            BooleanShape => Scalars.TryBoolean(value, out _) ? null : $"'{value.Text}'",
            IntegerShape range => Scalars.TryInteger(value, out var number) && number >= range.Least && number <= range.Greatest ? null : $"'{value.Text}'",
            NumberShape range => Scalars.TryNumber(value, out var number) && number >= range.Least && number <= range.Greatest ? null : $"'{value.Text}'",
            DurationShape range => Duration.TryParse(value.Text, out var time) && time >= range.Least && time <= range.Greatest ? null : $"'{value.Text}'",
            SizeShape => ByteSize.TryParse(value.Text, out _) ? null : $"'{value.Text}'",
            AddressShape => Scalars.TryAddress(value, out _) ? null : $"'{value.Text}'",
            NetworkShape => Scalars.TryNetwork(value.Text, out _) ? null : $"'{value.Text}'",
            UrlShape => Uri.TryCreate(value.Text, UriKind.Absolute, out var url) && url.Scheme is "http" or "https" ? null : $"'{value.Text}'",
            _ => throw new InvalidOperationException($"{shape} is no scalar shape"),
        };
        if (problem is not null)
            findings.Error(value, path, $"{Words.Of(shape)} expected, {problem} found", Words.Mend(shape, value.Text));
    }

    private static bool IsOfKind(YamlValue value, Shape shape) => (value, shape) switch
    {
        (YamlMap, KeysShape or NamesShape) => true,
        (YamlList, ListShape) => true,
        (YamlScalar, not (KeysShape or NamesShape or ListShape)) => true,
        _ => false,
    };

    private static bool Matches(string text, string pattern) => Regex.IsMatch(text, $@"^(?:{pattern})\z", RegexOptions.CultureInvariant);
}
