using Evenkeel.Agent.Configuration.Yaml;

namespace Evenkeel.Agent.Configuration;

/// <summary>Collects diagnostics while a file is read and checked, so that all are reported at once.</summary>
internal sealed class Findings(string file)
{
    private readonly List<Diagnostic> _found = [];

    /// <summary>Needed to place findings that name only a key's path.</summary>
    public YamlValue? Root { get; set; }
    public bool HasErrors => _found.Exists(finding => finding.Severity == Severity.Error);
    /// <summary>In the file's order.</summary>
    public IReadOnlyList<Diagnostic> All => [.. _found.OrderBy(finding => finding.Line).ThenBy(finding => finding.Column)];

    public void Error(int line, int column, string path, string message, string mend) =>
        _found.Add(new Diagnostic(Severity.Error, file, Math.Max(1, line), Math.Max(1, column), path, message, mend));

    public void Error(YamlValue at, string path, string message, string mend) => Error(at.Line, at.Column, path, message, mend);

    /// <summary>Placed at the value of the path, or at the nearest value above that the file has.</summary>
    public void Error(string path, string message, string mend) => Add(Severity.Error, path, message, mend);
    public void Warning(string path, string message, string mend) => Add(Severity.Warning, path, message, mend);

    private void Add(Severity severity, string path, string message, string mend)
    {
        var (value, key) = Root is null ? (null, null) : KeyPath.Nearest(Root, path);
        // A map or a list has its key as its place: its value begins on some later line.
        YamlValue? at = value is YamlScalar ? value : key ?? value;
        _found.Add(new Diagnostic(severity, file, at?.Line ?? 1, at?.Column ?? 1, path, message, mend));
    }
}
