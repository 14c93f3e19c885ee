using System.CommandLine;

namespace Evenkeel.Cli.Backup;

/// <summary><c>evenkeel backup …</c>: works on restic repositories, with or without a cluster.</summary>
public static class BackupCommands
{
    /// <summary>The command with all that is below it.</summary>
    public static Command Create() => new DescribedCommand("backup",
        "Makes, lists, checks and restores backups, without a cluster. Repositories are restic's: its own program reads them too.",
        """
        The password comes from --password-file, --password-command or EVENKEEL_BACKUP_PASSWORD, never from an argument.
        Exit codes: 0 ok; 1 failed, or files were left out; 2 usage; 3 no repository, wrong password, unknown format; 4 refused (locked, append-only, exists).
        """)
    {
        InitCommand.Create(), RunCommand.Create(), ListCommand.Create(), ShowCommand.Create(), DiffCommand.Create(),
        RestoreCommand.Create(), VerifyCommand.Create(), ForgetCommand.Create(), PruneCommand.Create(), ScheduleCommand.Create(), AcceptCommand.Create(), RepairCommand.Create(), RestoreTestCommand.Create(), ScoreCommand.Create(),
        KeyCommand.Create(), CopyCommand.Create(),
        PostgresCommands.Create(), PostgresCommands.CreatePush(),
        ClusterJobCommands.CreateJobs(), ClusterJobCommands.CreateNow(), JobCommand.Create(),
    };
}
