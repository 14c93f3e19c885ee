using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;

namespace Evenkeel.Cli.Commands;

/// <summary>Reads the file for <c>plan</c> and <c>apply</c>; errors show here, before any cluster is asked.</summary>
internal static class ClusterFileText
{
    public static FileRequest Read(string path, TextWriter error)
    {
        var result = ClusterFile.Read(path);
        foreach (var diagnostic in result.Diagnostics)
            error.WriteLine(diagnostic);
        return result.Spec is not null ? new FileRequest(path, File.ReadAllText(path))
            : throw new CommandFailedException(ExitCode.Configuration, $"{path} cannot be used", "Mend what is listed above; nothing was changed");
    }
}
