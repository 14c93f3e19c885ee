using Evenkeel.Agent.Configuration.Checks;
using Evenkeel.Agent.Configuration.Keys;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>A file as read: the spec if it may be used, and everything that was found.</summary>
/// <param name="Spec">Null when any diagnostic is an error.</param>
/// <param name="Diagnostics">In the file's order.</param>
public sealed record ClusterFileResult(ClusterSpec? Spec, IReadOnlyList<Diagnostic> Diagnostics);

/// <summary>Reads <c>cluster.yaml</c>: text → tree → checked against the description of keys → spec → checked for sense.</summary>
public static class ClusterFile
{
    /// <summary>Reads a file. One that cannot be read is a diagnostic, not an exception.</summary>
    public static ClusterFileResult Read(string path)
    {
        string text;
        try
        {
            var length = new FileInfo(path).Length;
            if (length > 4 * YamlTreeReader.GreatestLength)
                return Unreadable(path, $"the file is {length} bytes long", "Check that this is a cluster file");
            text = File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            return Unreadable(path, Directory.Exists(path) ? "this is a directory" : "there is no such file", "Check the path");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Unreadable(path, "the file cannot be read: " + exception.Message.TrimEnd('.'), "Check its permissions");
        }
        return Parse(text, path);
    }

    /// <summary>Reads text; <paramref name="file"/> is how diagnostics name it.</summary>
    public static ClusterFileResult Parse(string text, string file = "cluster.yaml")
    {
        var findings = new Findings(file);
        var root = YamlTreeReader.Read(text, findings);
        if (root is null or YamlScalar { IsNull: true } && !findings.HasErrors)
            findings.Error(1, 1, "", "the file is empty", "Begin with 'version: 1'; see docs/tutorial.md");
        if (root is null)
            return new ClusterFileResult(null, findings.All);
        findings.Root = root;
        new ShapeCheck(findings).Check(root, ClusterKeys.File, "");
        if (root is not YamlMap map)
            return new ClusterFileResult(null, findings.All);
        var spec = new SpecReader(new Reading(map, "")).Read();
        SenseCheck.All(map, spec, findings);
        return new ClusterFileResult(findings.HasErrors ? null : spec, findings.All);
    }

    private static ClusterFileResult Unreadable(string path, string message, string mend) =>
        new(null, [new Diagnostic(Severity.Error, path, 1, 1, "", message, mend)]);
}
