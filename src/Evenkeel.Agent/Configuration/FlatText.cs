using System.Globalization;
using Evenkeel.Agent.Configuration.Values;

namespace Evenkeel.Agent.Configuration;

/// <summary>Flat keys and texts, as they are compared.</summary>
internal sealed class FlatText
{
    public SortedDictionary<string, string> Keys { get; } = new(StringComparer.Ordinal);

    public void Add(string path, int? value) => Add(path, value?.ToString(CultureInfo.InvariantCulture));
    public void Add(string path, string? value)
    {
        if (value is not null)
            Keys[path] = value;
    }
    public void Add(string path, bool value) => Add(path, value ? "true" : "false");
    public void Add(string path, TimeSpan? value) => Add(path, value is { } time ? Duration.Format(time) : null);
    public void Add(string path, IEnumerable<string> values) => Add(path, values.ToList() is { Count: > 0 } list ? $"[{string.Join(", ", list)}]" : null);
    public void Add(string prefix, IReadOnlyDictionary<string, double> numbers)
    {
        foreach (var (name, number) in numbers)
            Add(prefix + name, number.ToString(CultureInfo.InvariantCulture));
    }
}
