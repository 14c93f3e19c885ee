namespace Evenkeel.EndToEnd.Package;

/// <summary>A unit file's settings, as systemd.syntax(7) has them; sections are not told apart, for no key of ours is in two.</summary>
internal sealed class UnitFile
{
    private readonly List<(string Key, string Value)> settings = [];

    public static UnitFile Parse(string text)
    {
        var unit = new UnitFile();
        foreach (var line in text.Split('\n').Where(line => line.Contains('=') && line[0] is not ('#' or ';')))
            unit.settings.Add((line[..line.IndexOf('=')], line[(line.IndexOf('=') + 1)..].Trim()));
        return unit;
    }

    public IEnumerable<string> Keys => settings.Select(setting => setting.Key);
    public IReadOnlyList<string> All(string key) => [.. settings.Where(setting => setting.Key == key).Select(setting => setting.Value)];
    public string One(string key) => All(key).Single();
    public IReadOnlyList<string> Words(string key) => [.. All(key).SelectMany(value => value.Split(' ', StringSplitOptions.RemoveEmptyEntries))];
}
