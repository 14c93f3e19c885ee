using System.CommandLine;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid scrub</c>.</summary>
internal static class ScrubCommand
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(250);

    public static Command Create()
    {
        var target = new Argument<string[]>("NAME|MEMBER") { Description = "A running array's name, or the members of one that does not run.", Arity = ArgumentArity.OneOrMore };
        var repair = new Option<bool>("--repair") { Description = "Rewrite redundancy that disagrees with the data." };
        var force = RaidCommands.Force();
        var command = new DescribedCommand("scrub", "Compares all redundancy with the data; finishes resync and rebuild first.",
            "A running array keeps serving meanwhile; Ctrl-C ends the scrub. Exit code 1 if something disagreed and was not repaired.") { target, repair, force };
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(async () =>
        {
            var given = parsed.GetRequiredValue(target);
            var mends = parsed.GetValue(repair);
            using var link = given.Length == 1 ? await RunningArrays.FindAsync(given[0], stop).ConfigureAwait(false) : null;
            var (name, mismatches) = link is not null
                ? (given[0], await RunningAsync(link, mends, parsed, stop).ConfigureAwait(false))
                : await StoppedAsync(given, mends, RaidCommands.Options(parsed, parsed.GetValue(force)), parsed, stop).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"{name}: {mismatches} sectors disagreed.").ConfigureAwait(false);
            return mismatches == 0 || mends ? ExitCode.Success : ExitCode.Failed;
        }));
        return command;
    }

    private static async Task<long> RunningAsync(HostLink link, bool repair, ParseResult parsed, CancellationToken stop)
    {
        var word = repair ? "repair" : "check";
        RunningArrays.Check(await link.OrderAsync(new HostOrder(word), stop).ConfigureAwait(false));
        var line = new SyncLine(parsed);
        try
        {
            while (true)
            {
                var report = RunningArrays.Check(await link.OrderAsync(new HostOrder("status"), stop).ConfigureAwait(false));
                // 'idle' comes back only when the scrub has its result; before that the host names what it is at, or the scrub to come.
                if (report.Activity == "idle") return report.Mismatches ?? throw new CommandFailedException(ExitCode.Failed, "The scrub was interrupted.");
                line.Show(report.Activity, report.DoneBytes, report.TotalBytes);
                await Task.Delay(Look, stop).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            await link.OrderAsync(new HostOrder("interrupt"), CancellationToken.None).ConfigureAwait(false);
            throw;
        }
    }

    private static async Task<(string Name, long Mismatches)> StoppedAsync(string[] members, bool repair, ArrayOptions options, ParseResult parsed, CancellationToken stop)
    {
        var devices = await MemberDevices.OpenAllAsync(members).ConfigureAwait(false);
        await using var array = await ArrayAssembly.OpenAsync(devices, options).ConfigureAwait(false);
        var line = new SyncLine(parsed);
        await array.ResyncAsync(line.For("resync"), stop).ConfigureAwait(false);
        await array.RebuildAsync(line.For("rebuild"), stop).ConfigureAwait(false);
        return (array.Name, await array.ScrubAsync(repair, line.For(repair ? "repair" : "check"), stop).ConfigureAwait(false));
    }
}
