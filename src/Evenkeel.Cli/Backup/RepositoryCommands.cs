using System.CommandLine;

namespace Evenkeel.Cli.Backup;

/// <summary><c>evenkeel repository …</c>: the place where backups are kept.</summary>
public static class RepositoryCommands
{
    public static Command Create() => new("repository", "Serves backup repositories to other machines.") { ServeCommand.Create() };
}
