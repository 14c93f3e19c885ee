using Evenkeel.Agent;
using System.CommandLine;

namespace Evenkeel.Cli.Commands;

/// <summary><c>version</c>: what is installed here.</summary>
internal static class VersionCommand
{
    public static Command Create()
    {
        var command = new Command("version", "Prints the version of this program.");
        command.SetAction(parsed => parsed.InvocationConfiguration.Output.WriteLine("evenkeel " + ProgramVersion.Current));
        return command;
    }
}
