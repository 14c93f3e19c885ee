using System.CommandLine;
using System.Globalization;
using System.Net;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Spectre.Console;

namespace Evenkeel.Cli.Commands;

/// <summary><c>evenkeel demo</c>: the main job, on loopback, with faults to try and clients to watch.</summary>
internal static class DemoCommand
{
    private static readonly TimeSpan ProbePeriod = TimeSpan.FromMilliseconds(10);
    private static readonly TimeSpan DefaultGoal = TimeSpan.FromSeconds(1);
    private const string ExampleFile = "examples/web/cluster.yaml";

    public static Command Create()
    {
        var once = new Option<bool>("--once") { Description = "unattended: kills, hangs and drains each node in turn, prints a table, fails when a goal is missed" };
        var file = new Option<string?>("--file") { Description = $"the cluster's file; {ExampleFile} of the checkout by default", HelpName = "FILE" };
        var command = new Command("demo",
            "Runs a small web service on three nodes on this machine (no root), measures what clients see while nodes are killed, hung, drained and brought back. Ctrl-C leaves nothing behind.")
        {
            once, file,
        };
        command.SetAction((parsed, cancellation) => RunAsync(parsed.GetValue(file) ?? FindExample(), parsed.GetValue(once), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string file, bool once, CancellationToken cancellation)
    {
        if (!once && (Console.IsInputRedirected || Console.IsOutputRedirected))
        {
            throw new CommandFailedException(ExitCode.Usage, "the live view needs a terminal", "Unattended: evenkeel demo --once");
        }

        var (local, text, directory) = LocalFile.ReadMapped(file);
        var (service, door) = local.Spec.Services.Values.SelectMany(service => service.Publish.Select(door => (service, door)))
            .FirstOrDefault(pair => pair.door is { Protocol: PublishProtocol.Http, Door.Http: { Tls: null, Hosts.Count: 0, Paths.Count: 0, Headers.Count: 0 } });
        if (door is null)
        {
            throw new CommandFailedException(ExitCode.Refused, $"{file} publishes no HTTP service, so there is nothing to watch");
        }

        try
        {
            await using var cluster = new LoopbackCluster(local.Spec, text, directory);
            Console.WriteLine($"Starting {local.Spec.Nodes.Count} nodes, each an agent and a guard.");
            await cluster.StartAsync(cancellation).ConfigureAwait(false);
            await cluster.WaitUntilWholeAsync(cancellation).ConfigureAwait(false);
            var front = new IPEndPoint(local.Spec.Vips[door.Vip].Address, door.Port);
            Console.WriteLine($"Service '{service.Name}' serves at http://{front}/");
            var prober = new Prober(front, ProbePeriod);
            using var probing = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var probes = prober.RunAsync(probing.Token);
            try
            {
                var goal = service.Objectives.Rto ?? DefaultGoal;
                return once
                    ? await OnceAsync(new DemoScript(cluster, prober, goal, line => Console.WriteLine("  " + line)), cancellation).ConfigureAwait(false)
                    : await new DemoView(cluster, prober, front).RunAsync(cancellation).ConfigureAwait(false);
            }
            finally
            {
                await probing.CancelAsync().ConfigureAwait(false);
                await probes.ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        catch (LocalClusterException exception)
        {
            throw new CommandFailedException(ExitCode.Failed, exception.Message);
        }
    }

    private static async Task<int> OnceAsync(DemoScript script, CancellationToken cancellation)
    {
        var rows = await script.RunAsync(_ => { }, cancellation).ConfigureAwait(false);
        var table = new Table { Border = TableBorder.Simple };
        table.AddColumns("fault", "node", "front door", "requests", "failed", "in flight there", "longest outage", "slowest", "verdict");
        foreach (var row in rows)
        {
            table.AddRow(
                DemoScript.Words(row.Fault), row.Node.Value, row.HeldFrontDoor ? "held" : "", Number(row.Seen.Requests), Number(row.Seen.Failures),
                Number(row.Seen.InFlightAtLostDoor), Milliseconds(row.Seen.LongestOutage), Milliseconds(row.Seen.Slowest),
                row.Problem is null ? "ok" : "MISSED");
        }

        var terminal = AnsiConsole.Create(new AnsiConsoleSettings());
        if (Console.IsOutputRedirected)
        {
            terminal.Profile.Width = 140;
        }

        terminal.Write(table);
        var problems = rows.Where(row => row.Problem is not null).ToList();
        foreach (var row in problems)
        {
            await Console.Error.WriteLineAsync($"{DemoScript.Words(row.Fault)} {row.Node}: {row.Problem}").ConfigureAwait(false);
        }

        return problems.Count == 0 ? ExitCode.Success : ExitCode.Failed;
    }

    private static string FindExample()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
        {
            if (Path.Combine(directory.FullName, ExampleFile) is var path && File.Exists(path))
            {
                return path;
            }
        }

        throw new CommandFailedException(ExitCode.Usage, $"{ExampleFile} is not beside this program", "Name a cluster's file with --file");
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
    private static string Milliseconds(TimeSpan time) => string.Create(CultureInfo.InvariantCulture, $"{time.TotalMilliseconds:0} ms");
}
