using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Evenkeel.Agent.Configuration.Yaml;

/// <summary>Reads one YAML document from parse events. Limits: 1 MiB of text, 32 levels.</summary>
internal sealed class YamlTreeReader(IParser parser, Findings findings)
{
    public const int GreatestLength = 1 << 20;
    private const int GreatestDepth = 32;
    private const string Mend = "Check indentation (spaces, no tabs), quotes, colons and brackets at and just before this line";
    private readonly Dictionary<AnchorName, YamlValue> _anchors = [];

    /// <summary>Null when there is no document, or a syntax error after which nothing can be trusted.</summary>
    public static YamlValue? Read(string text, Findings findings)
    {
        if (text.Length > GreatestLength)
        {
            findings.Error(1, 1, "", $"the file is longer than {GreatestLength} characters", "Check that this is a cluster file");
            return null;
        }
        var parser = new Parser(new StringReader(text));
        try
        {
            parser.Consume<StreamStart>();
            if (parser.Accept<StreamEnd>(out _))
                return null;
            parser.Consume<DocumentStart>();
            var root = new YamlTreeReader(parser, findings).ReadValue("", 0);
            parser.Consume<DocumentEnd>();
            if (parser.Accept<DocumentStart>(out var second))
                findings.Error((int)second.Start.Line, (int)second.Start.Column, "", "a second document begins here",
                    "Keep one document in a file: remove '---' and what follows");
            return root;
        }
        catch (YamlException exception)
        {
            findings.Error((int)exception.Start.Line, (int)exception.Start.Column, "", "not valid YAML: " + exception.Message.TrimEnd('.'),
                Mend);
            return null;
        }
        // YamlDotNet 18.1 lets these escape on some broken texts (an unclosed bracket inside a plain scalar).
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or IndexOutOfRangeException)
        {
            var last = parser.Current?.End ?? Mark.Empty;
            findings.Error((int)last.Line, (int)last.Column, "", "not valid YAML from here on", Mend);
            return null;
        }
    }

    private YamlValue ReadValue(string path, int depth)
    {
        if (depth > GreatestDepth)
            throw new SemanticErrorException(parser.Current!.Start, parser.Current.End, $"more than {GreatestDepth} levels of nesting");
        if (parser.TryConsume<AnchorAlias>(out var alias))
            return _anchors.TryGetValue(alias.Value, out var known) ? known
                : throw new SemanticErrorException(alias.Start, alias.End, $"'*{alias.Value}' refers to an anchor that is not defined before it");

        var start = parser.Current!.Start;
        int line = (int)start.Line, column = (int)start.Column;
        var anchor = (parser.Current as NodeEvent)?.Anchor ?? AnchorName.Empty;
        YamlValue value;
        if (parser.TryConsume<Scalar>(out var scalar))
            value = new YamlScalar(line, column, scalar.Value, scalar.Style is not (ScalarStyle.Plain or ScalarStyle.Any));
        else if (parser.TryConsume<SequenceStart>(out _))
        {
            var items = new List<YamlValue>();
            while (!parser.TryConsume<SequenceEnd>(out _))
                items.Add(ReadValue($"{path}[{items.Count}]", depth + 1));
            value = new YamlList(line, column, items);
        }
        else
            value = ReadMap(path, depth, line, column);
        if (!anchor.IsEmpty)
            _anchors[anchor] = value;
        return value;
    }

    private YamlMap ReadMap(string path, int depth, int line, int column)
    {
        parser.Consume<MappingStart>();
        var entries = new List<YamlEntry>();
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            var keyMark = parser.Current!.Start;
            var key = ReadValue(path, depth + 1) as YamlScalar;
            var keyPath = KeyPath.Join(path, key?.Text ?? "?");
            var value = ReadValue(keyPath, depth + 1);
            if (key is null)
                findings.Error((int)keyMark.Line, (int)keyMark.Column, path, "a key must be plain text", "Write 'name: value'");
            else if (!seen.TryAdd(key.Text, key.Line))
                findings.Error(key.Line, key.Column, keyPath, $"the key is given twice, first on line {seen[key.Text]}", "Keep one of the two");
            else
                entries.Add(new YamlEntry(key, value));
        }
        return new YamlMap(line, column, entries);
    }
}
