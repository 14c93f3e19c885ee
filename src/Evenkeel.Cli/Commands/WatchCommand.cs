using System.CommandLine;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;
using Evenkeel.Cli.Views;
using Spectre.Console;

namespace Evenkeel.Cli.Commands;

/// <summary><c>watch</c>: the status screen, live, going on with another agent when the one that answers is lost.</summary>
internal static class WatchCommand
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(500);

    public static Command Create()
    {
        var cluster = Options.Cluster();
        var command = new DescribedCommand("watch", "Shows the status live until Ctrl-C.", """
            Asks twice a second. When the agent that answers is lost, another one of the cluster is asked.
            Without a terminal it prints events as they come, like 'evenkeel events --follow'.
            """)
        { cluster };
        command.SetAction(async (parsed, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var client = await ClusterFinder.FindAsync(parsed.GetValue(cluster), ControlSockets.Directories, cancellation);
            if (!Terminal.IsTerminal(output))
                return await EventsCommand.PrintAsync(client, output, after: 0, limit: 20, follow: true, json: false, cancellation);
            var name = client.Hello.Cluster;
            await Terminal.For(output).Live(new Text("")).AutoClear(false).Overflow(VerticalOverflow.Crop).StartAsync(async live =>
            {
                using var timer = new PeriodicTimer(s_interval);
                do
                {
                    try
                    {
                        client ??= await ClusterFinder.FindAsync(name, ControlSockets.Directories, cancellation);
                        var report = await client.StatusAsync(cancellation);
                        live.UpdateTarget(StatusView.Of(report, StatusFindings.Of(report)));
                    }
                    catch (CommandFailedException failure)
                    {
                        client?.Dispose();
                        client = null;
                        live.UpdateTarget(new Text($"{name}: {failure.Message}", new Style(Color.Red)));
                    }
                }
                while (await timer.WaitForNextTickAsync(cancellation));
            });
            return ExitCode.Success;
        });
        return command;
    }
}
