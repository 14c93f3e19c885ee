using System.CommandLine;
using Evenkeel.Agent.Control;
using Evenkeel.Cli.Control;

namespace Evenkeel.Cli;

/// <summary>What a command that talks to a running cluster is given.</summary>
internal sealed record ClusterCall(ControlClient Client, ParseResult Parsed, TextWriter Output, TextWriter Error, CancellationToken Cancellation);

/// <summary>Makes commands that find the cluster first, then act.</summary>
internal static class ClusterCommand
{
    /// <summary>Adds <c>--cluster</c>, finds the cluster, runs the action with a client.</summary>
    public static T Acts<T>(this T command, Func<ClusterCall, Task<int>> act) where T : Command
    {
        var cluster = Options.Cluster();
        command.Add(cluster);
        command.SetAction(async (parsed, cancellation) =>
        {
            using var client = await ClusterFinder.FindAsync(parsed.GetValue(cluster), ControlSockets.Directories, cancellation);
            var console = parsed.InvocationConfiguration;
            return await act(new ClusterCall(client, parsed, console.Output, console.Error, cancellation));
        });
        return command;
    }
}
