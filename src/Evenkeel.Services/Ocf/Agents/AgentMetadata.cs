using System.Xml;
using System.Xml.Linq;

namespace Evenkeel.Services.Ocf.Agents;

public sealed record AgentParameter(string Name, bool Required, string Type, string? Default, string ShortDescription);

/// <summary>What an agent says of itself (action <c>meta-data</c>; <c>ra-api-1.dtd</c> and the 1.1 schema).</summary>
public sealed record AgentMetadata(string Name, IReadOnlyDictionary<string, AgentParameter> Parameters, IReadOnlyDictionary<string, TimeSpan?> Actions)
{
    public bool IsPromotable => Has("promote") && Has("demote");

    /// <summary>Whether the agent has this action.</summary>
    public bool Has(string action) => Actions.ContainsKey(action);

    /// <exception cref="InvalidDataException">Not the description of a resource agent.</exception>
    public static AgentMetadata Parse(string xml)
    {
        try
        {
            // The agents name a DTD, which is neither needed nor fetched.
            using var reader = XmlReader.Create(new StringReader(xml.TrimStart()), new XmlReaderSettings { DtdProcessing = DtdProcessing.Ignore, XmlResolver = null });
            var root = XDocument.Load(reader).Root;
            if (root?.Name.LocalName != "resource-agent")
            {
                throw new InvalidDataException("its meta-data describes no resource agent");
            }

            var actions = new Dictionary<string, TimeSpan?>(StringComparer.Ordinal);
            foreach (var action in root.Descendants("action"))
            {
                // One entry a name; recurring monitors of both roles share theirs.
                actions.TryAdd(Text(action, "name"), Seconds(Text(action, "timeout")));
            }

            return new AgentMetadata(Text(root, "name"), root.Descendants("parameter").Select(Parameter)
                .DistinctBy(parameter => parameter.Name).ToDictionary(parameter => parameter.Name, StringComparer.Ordinal), actions);
        }
        catch (XmlException exception)
        {
            throw new InvalidDataException($"its meta-data is no XML: {exception.Message}", exception);
        }
    }

    /// <summary>What is wrong with these parameters, in words; empty when the description knows nothing against them.</summary>
    public IReadOnlyList<string> Objections(IReadOnlyDictionary<string, string> given) =>
    [
        .. Parameters.Values.Where(known => known is { Required: true, Default: null or "" } && !given.ContainsKey(known.Name)).Select(known => $"it requires the parameter '{known.Name}'"),
        .. given.Keys.Where(name => name != "OCF_CHECK_LEVEL" && !Parameters.ContainsKey(name)).Select(name => $"it has no parameter '{name}'"),
    ];

    private static AgentParameter Parameter(XElement element) => new(
        Text(element, "name"), Text(element, "required") is "1" or "true" or "yes", (string?)element.Element("content")?.Attribute("type") ?? "string",
        (string?)element.Element("content")?.Attribute("default"), element.Element("shortdesc")?.Value.Trim() ?? "");

    private static string Text(XElement element, string attribute) => ((string?)element.Attribute(attribute) ?? "").Trim();

    // "20s", "20", "5m", "500ms".
    private static TimeSpan? Seconds(string text)
    {
        var digits = text.TakeWhile(c => char.IsAsciiDigit(c) || c == '.').Count();
        if (!double.TryParse(text.AsSpan(0, digits), System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out var number))
        {
            return null;
        }

        return text[digits..].Trim() switch
        {
            "ms" or "msec" => TimeSpan.FromMilliseconds(number),
            "m" or "min" => TimeSpan.FromMinutes(number),
            "h" or "hr" => TimeSpan.FromHours(number),
            _ => TimeSpan.FromSeconds(number),
        };
    }
}
