using System.CommandLine;
using System.CommandLine.Invocation;
using Evenkeel.Cli.Commands;

namespace Evenkeel.Cli;

/// <summary>The tree of commands. Nothing is done before parsing: start-up time is what every user pays every time.</summary>
public static class CommandLine
{
    private const string Description = """
        Keeps services running when servers fail: one file says what, the cluster decides where, and proves that it does.

        Begin with:   evenkeel config check cluster.yaml    is the file right, and if not, what to mend
                      evenkeel status                       is everything all right, and if not, what to do
        Exit codes:   0 ok, 1 failed, 2 usage, 3 errors in the cluster file, 4 refused by the cluster,
                      5 the cluster's state is of a later version, 130 interrupted.
        Colours only on a terminal; NO_COLOR=1 turns them off. Errors go to standard error.
        """;

    /// <summary>Every command; a new one is a file under Commands/ and a line here.</summary>
    public static RootCommand Create()
    {
        var root = new RootCommand(Description)
        {
            StatusCommand.Create(),
            WatchCommand.Create(),
            EventsCommand.Create(),
            ExplainCommand.Create(),
            LogsCommand.Create(),
            LogLevelCommand.Create(),
            AuditCommand.Create(),
            AlertsCommand.Create(),
            Commands.Bundle.BundleCommand.Create(),
            PlanCommand.Create(),
            ApplyCommand.Create(),
            NodeModeCommand.CreateDrain(),
            NodeModeCommand.CreateResume(),
            GuardCommand.Create(),
            FenceCommand.Create(),
            MoveCommand.Create(),
            RestartCommand.Create(),
            Backup.BackupCommands.Create(),
            Backup.RepositoryCommands.Create(),
            ConfigCommand.Create(),
            Commands.Raid.RaidCommands.Create(),
            Commands.Volume.VolumeCommands.Create(),
            CompletionCommand.Create(),
            ManualCommand.Create(),
            VersionCommand.Create(),
            PreflightCommand.Create(),
            InitCommand.Create(),
            TokenCommand.Create(),
            JoinCommand.Create(),
            LeaveCommand.Create(),
            RemoveCommand.Create(),
            ReplaceCommand.Create(),
            CaCommand.Create(),
            ApiCommand.Create(),
            RecoverCommand.Create(),
            StateCommand.Create(),
            AgentCommand.Create(),
            UpCommand.Create(),
            DemoCommand.Create(),
            LabCommand.Create(),
            ProbeCommand.Create(),
        };
        DetailedHelp.Install(root);
        return root;
    }

    /// <summary>Parses and runs; the result is the process's exit code (see <see cref="ExitCode"/>).</summary>
    public static int Run(string[] arguments) => Run(arguments, Console.Out, Console.Error);

    public static int Run(string[] arguments, TextWriter output, TextWriter error)
    {
        var parsed = Create().Parse(arguments);
        if (parsed.Action is ParseErrorAction unparsed)
        {
            unparsed.ShowHelp = false;
            parsed.Invoke(new InvocationConfiguration { Output = error, Error = error });
            error.WriteLine($"See '{NameOf(parsed.CommandResult.Command)} --help'.");
            return ExitCode.Usage;
        }
        return LastResort.Guard(error, () => parsed.Invoke(new InvocationConfiguration
        {
            Output = output,
            Error = error,
            EnableDefaultExceptionHandler = false,
            // A cluster on this machine is given this long to stop in order: more than its nodes take.
            ProcessTerminationTimeout = TimeSpan.FromSeconds(30),
        }));
    }

    private static string NameOf(Command command) =>
        command is RootCommand ? "evenkeel" : string.Join(' ', command.Parents.OfType<Command>().Take(1).Select(NameOf).Append(command.Name));
}
