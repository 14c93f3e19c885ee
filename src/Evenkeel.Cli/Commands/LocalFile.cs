using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Model;

namespace Evenkeel.Cli.Commands;

/// <summary>Reads a cluster's file for the commands that run it on this machine.</summary>
internal static class LocalFile
{
    /// <exception cref="CommandFailedException">The file has errors; they have been printed.</exception>
    public static (ClusterSpec Spec, string Text, string Directory) Read(string file)
    {
        var result = ClusterFile.Read(file);
        foreach (var diagnostic in result.Diagnostics)
        {
            Console.Error.WriteLine(diagnostic);
        }

        var spec = result.Spec ?? throw new CommandFailedException(ExitCode.Configuration, $"{file} cannot be run; see above");
        return (spec, File.ReadAllText(file), Path.GetDirectoryName(Path.GetFullPath(file))!);
    }

    /// <exception cref="CommandFailedException">The cluster does not fit on one machine.</exception>
    public static (LocalCluster Local, string Text, string Directory) ReadMapped(string file)
    {
        var (spec, text, directory) = Read(file);
        return LocalMapping.TryMap(spec, directory, out var local, out var problem)
            ? (local, text, directory)
            : throw new CommandFailedException(ExitCode.Refused, problem);
    }
}
