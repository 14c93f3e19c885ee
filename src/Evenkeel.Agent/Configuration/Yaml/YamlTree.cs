namespace Evenkeel.Agent.Configuration.Yaml;

// The file as a tree in which every value knows its line. YamlDotNet's own representation model is not used because it
// stops at the first duplicate key; here all problems of a file are reported at once.

/// <summary>A value of the file and where it stands (both 1-based).</summary>
public abstract record YamlValue(int Line, int Column);

/// <param name="Text">Empty for a null.</param>
/// <param name="Quoted">A quoted scalar is text, never a number, a boolean or null.</param>
public sealed record YamlScalar(int Line, int Column, string Text, bool Quoted) : YamlValue(Line, Column)
{
    public bool IsNull => !Quoted && Text is "" or "~" or "null";
}

public sealed record YamlList(int Line, int Column, IReadOnlyList<YamlValue> Items) : YamlValue(Line, Column);

public sealed record YamlEntry(YamlScalar Key, YamlValue Value);

/// <summary>Entries in the file's order, each key once.</summary>
public sealed record YamlMap(int Line, int Column, IReadOnlyList<YamlEntry> Entries) : YamlValue(Line, Column)
{
    public YamlValue? Get(string key) => Entries.FirstOrDefault(entry => entry.Key.Text == key)?.Value;
}
