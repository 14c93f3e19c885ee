using System.CommandLine;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;

namespace Evenkeel.Cli.Commands;

/// <summary><c>evenkeel up</c>: a whole cluster on this machine's loopback addresses, in the foreground.</summary>
internal static class UpCommand
{
    public static Command Create()
    {
        var file = new Argument<string>("FILE") { Description = "the cluster's file" };
        var command = new Command("up",
            "Runs every node of a cluster as processes on this machine (no root): nodes and virtual IPs become 127.77.x.y, ports under 1024 move up by 8000. Ctrl-C stops it and leaves nothing behind.")
        {
            file,
        };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(file)!, cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string file, CancellationToken cancellation)
    {
        var (local, text, directory) = LocalFile.ReadMapped(file);
        try
        {
            await using var cluster = new LoopbackCluster(local.Spec, text, directory);
            await cluster.StartAsync(cancellation).ConfigureAwait(false);
            foreach (var line in local.Map)
            {
                Console.WriteLine($"{line.What,-28} {line.Declared,-24} {line.Local}");
            }

            Console.WriteLine();
            await cluster.WaitUntilWholeAsync(cancellation).ConfigureAwait(false);
            Console.WriteLine($"Cluster '{local.Spec.Cluster}' serves. In another terminal: evenkeel status. Ctrl-C stops it.");
            await cancellation.AsTask().ConfigureAwait(false);
            Console.WriteLine("Stopping.");
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Success; // stopped while it was starting
        }
        catch (LocalClusterException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message);
        }

        return ExitCode.Success;
    }
}
