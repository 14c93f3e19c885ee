using System.Net;
using Evenkeel.Agent.Configuration.Values;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>
/// A map of the file, read key by key. What is missing or of the wrong kind reads as null (or empty): the shape check has
/// reported it already.
/// </summary>
internal sealed record Reading(YamlMap Map, string Path)
{
    public YamlValue? Value(string key) => Map.Get(key);
    public string? Text(string key) => Map.Get(key) is YamlScalar { IsNull: false } scalar ? scalar.Text : null;
    public int? Integer(string key) => Map.Get(key) is YamlScalar scalar && Scalars.TryInteger(scalar, out var value) && Math.Abs(value) <= int.MaxValue ? (int)value : null;
    public double? Number(string key) => Map.Get(key) is YamlScalar scalar && Scalars.TryNumber(scalar, out var value) ? value : null;
    public bool? Boolean(string key) => Map.Get(key) is YamlScalar scalar && Scalars.TryBoolean(scalar, out var value) ? value : null;
    public TimeSpan? Time(string key) => Map.Get(key) is YamlScalar scalar && Duration.TryParse(scalar.Text, out var value) ? value : null;
    public IPAddress? Address(string key) => Map.Get(key) is YamlScalar scalar && Scalars.TryAddress(scalar, out var value) ? value : null;

    public Reading? Inner(string key) => Map.Get(key) is YamlMap map ? new Reading(map, KeyPath.Join(Path, key)) : null;

    /// <summary>The names of a map of names whose values are maps, with these.</summary>
    public IEnumerable<(string Name, YamlValue Value, string Path)> Entries(string key) =>
        Map.Get(key) is YamlMap map ? map.Entries.Select(entry => (entry.Key.Text, entry.Value, $"{KeyPath.Join(Path, key)}.{entry.Key.Text}")) : [];

    /// <summary>The items of a list; one value alone is a list of one.</summary>
    public IEnumerable<YamlValue> Items(string key) => Map.Get(key) switch
    {
        YamlList list => list.Items,
        null or YamlScalar { IsNull: true } => [],
        var single => [single],
    };

    public IReadOnlyList<string> Texts(string key) => [.. Items(key).OfType<YamlScalar>().Where(item => !item.IsNull).Select(item => item.Text)];
    public IReadOnlyList<IPAddress> Addresses(string key) =>
        [.. Items(key).Select(item => item is YamlScalar scalar && Scalars.TryAddress(scalar, out var address) ? address : null).OfType<IPAddress>()];
    public IReadOnlyList<IPNetwork> Networks(string key) =>
        [.. Texts(key).Select(text => Scalars.TryNetwork(text, out var network) ? network : (IPNetwork?)null).OfType<IPNetwork>()];
    public IReadOnlyList<NodeName> Nodes(string key) => [.. Texts(key).Select(name => new NodeName(name))];
    public IReadOnlyList<string>? Command(string key) => Texts(key) is { Count: > 0 } command ? command : null;

    public IReadOnlyDictionary<string, double> Numbers(string key) => Entries(key)
        .Select(entry => (entry.Name, Number: entry.Value is YamlScalar scalar && Scalars.TryNumber(scalar, out var number) ? number : (double?)null))
        .Where(entry => entry.Number is not null).ToDictionary(entry => entry.Name, entry => entry.Number!.Value, StringComparer.Ordinal);

    public IReadOnlyDictionary<string, string> TextMap(string key) => Entries(key)
        .Where(entry => entry.Value is YamlScalar).ToDictionary(entry => entry.Name, entry => ((YamlScalar)entry.Value).Text, StringComparer.Ordinal);
}
