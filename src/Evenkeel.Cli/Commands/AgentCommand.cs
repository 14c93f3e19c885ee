using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Setup;

namespace Evenkeel.Cli.Commands;

/// <summary><c>evenkeel agent</c>: the daemon of one node.</summary>
internal static class AgentCommand
{
    public static Command Create()
    {
        var configuration = new Option<string>("--configuration")
        {
            Description = "the node's agent.json, as 'init', 'up' or 'lab' wrote it", HelpName = "FILE",
            DefaultValueFactory = _ => Path.Combine(NodeSetup.DefaultStateDirectory, NodeSetup.ConfigurationFile),
        };
        var follow = new Option<bool>("--follow-stdin") { Description = "stop when standard input ends: the launcher that started this agent is gone" };
        var command = new Command("agent", "Runs this node's agent in the foreground until SIGTERM; logs to standard output. At SIGHUP it ends alone: what it runs goes on, and the next agent takes it over.") { configuration, follow };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(configuration)!, parsed.GetValue(follow), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string file, bool followInput, CancellationToken cancellation)
    {
        AgentConfiguration configuration;
        try
        {
            configuration = AgentConfiguration.Load(file);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or JsonException)
        {
            throw new CommandFailedException(ExitCode.Configuration, $"{file} cannot be used: {exception.Message}",
                File.Exists(file) ? "Restore it from a backup, or make the node anew: evenkeel init --help" : "Is this server a node yet? See evenkeel init --help");
        }

        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        // Ctrl-C in a terminal goes to every process of the foreground group: the launcher stops its nodes itself.
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, signal => signal.Cancel = followInput);
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            stop.Cancel();
        });
        using var leave = new CancellationTokenSource();
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, signal =>
        {
            signal.Cancel = true;
            // The terminal of a launcher is gone: it stops its nodes itself.
            if (!followInput) leave.Cancel();
        });
        if (followInput)
        {
            _ = StopWithInputAsync(stop);
        }

        try
        {
            var host = new AgentHost(configuration, Log);
            var code = await host.RunAsync(stop.Token, leave.Token).ConfigureAwait(false);
            if (host.HasLeft)
            {
                Log($"what was this node's state is in {DepartedState.PutAway(configuration.StateDirectory, DateTimeOffset.UtcNow)}");
            }

            return code;
        }
        catch (StateTooNewException exception)
        {
            throw new CommandFailedException(ExitCode.TooOld, exception.Message,
                "Install the version that the other nodes run (evenkeel status there shows it); see docs/operations/upgrade.md");
        }
        catch (InvalidDataException exception)
        {
            throw new CommandFailedException(ExitCode.Configuration, exception.Message);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Failed, $"the state directory {configuration.StateDirectory} cannot be used: {exception.Message}",
                "Is its disk full, read-only or failing? (df, dmesg)");
        }
        catch (System.Net.Sockets.SocketException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, $"the private connection cannot be opened: {exception.Message}", "Is another agent running, or is the address not this node's?");
        }
    }

    private static void Log(string line) =>
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{DateTime.UtcNow:yyyy-MM-ddTHH:mm:ss.fffZ} {line}"));

    private static async Task StopWithInputAsync(CancellationTokenSource stop)
    {
        var buffer = new byte[64];
        await using var input = Console.OpenStandardInput();
        while (await input.ReadAsync(buffer).ConfigureAwait(false) > 0)
        {
        }

        await stop.CancelAsync().ConfigureAwait(false);
    }
}
