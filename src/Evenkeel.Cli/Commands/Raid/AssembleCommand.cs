using System.CommandLine;
using System.Diagnostics;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid assemble</c>: <c>raid serve</c> in the background.</summary>
internal static class AssembleCommand
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    public static Command Create()
    {
        var options = new ServeOptions();
        var command = new DescribedCommand("assemble", "Starts an array in the background and prints where it is served.",
            "What it has to say goes to a log beside its control socket. 'evenkeel raid stop NAME' ends it.");
        options.AddTo(command);
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(() => StartAsync(parsed, options, stop)));
        return command;
    }

    private static async Task<int> StartAsync(ParseResult parsed, ServeOptions options, CancellationToken stop)
    {
        var devices = await MemberDevices.OpenAllAsync(parsed.GetRequiredValue(options.Members), readOnly: true, options.Tls.Client(parsed)).ConfigureAwait(false);
        var name = (await MemberDevices.ReadSuperblockAsync(devices[0]).ConfigureAwait(false)).Name;
        foreach (var device in devices) await device.DisposeAsync().ConfigureAwait(false);
        if (await RunningArrays.FindAsync(name, stop).ConfigureAwait(false) is { } running)
        {
            running.Dispose();
            throw new CommandFailedException(ExitCode.Refused, $"an array '{name}' runs already", $"See 'evenkeel raid status {name}'.");
        }

        Directory.CreateDirectory(RunningArrays.Directory);
        var log = Path.ChangeExtension(RunningArrays.SocketOf(name), ".log");
        using var process = Start([.. Self(), "raid", "serve", .. options.Words(parsed)], log);
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(Patience);
        while (!process.HasExited)
        {
            using var link = await RunningArrays.FindAsync(name, limited.Token).ConfigureAwait(false);
            if (link is null)
            {
                await Task.Delay(Look, limited.Token).ConfigureAwait(false);
                continue;
            }

            var report = RunningArrays.Check(await link.OrderAsync(new HostOrder("status"), stop).ConfigureAwait(false));
            await parsed.InvocationConfiguration.Output.WriteLineAsync(report.Uri).ConfigureAwait(false);
            return ExitCode.Success;
        }

        var said = File.ReadLines(log).LastOrDefault(line => line.Contains("evenkeel:", StringComparison.Ordinal)) ?? "evenkeel: it ended without a word";
        throw new CommandFailedException(process.ExitCode, said[(said.IndexOf(':', StringComparison.Ordinal) + 2)..], $"More is in {log}.");
    }

    // A session of its own, so that neither a closed terminal nor Ctrl-C ends it.
    private static Process Start(IReadOnlyList<string> words, string log)
    {
        var start = new ProcessStartInfo("/bin/sh", ["-c", "log=$1; shift; exec setsid \"$@\" >\"$log\" 2>&1 </dev/null", "sh", log, .. words]);
        return Process.Start(start)!;
    }

    private static IEnumerable<string> Self()
    {
        yield return Environment.ProcessPath!;
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet") yield return typeof(AssembleCommand).Assembly.Location;
    }
}
