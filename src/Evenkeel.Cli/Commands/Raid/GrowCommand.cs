using System.CommandLine;
using Evenkeel.Cli.Backup;
using Evenkeel.Raid.Array;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid grow</c>.</summary>
internal static class GrowCommand
{
    public static Command Create()
    {
        var members = RaidCommands.Members();
        var size = new Option<long?>("--size") { Description = "KiB to use of each member; all that the smallest has when left out.", HelpName = "KIB" };
        var zeros = new Option<bool>("--assume-clean") { Description = "The new room reads as zeros on every member: skip its resync." };
        var tls = new TlsFiles();
        var command = new DescribedCommand("grow", "Uses more of each member, after all of them were enlarged or replaced by larger ones.",
            "The array must not be running, and must be clean and complete. Its new room is made redundant while it is next in use.\n"
            + "Reshaping to more members is not supported.") { members, size, zeros };
        foreach (var option in tls.ClientOptions) command.Options.Add(option);
        command.SetAction((parsed, _) => RaidGuard.RunAsync(async () =>
        {
            var devices = await MemberDevices.OpenAllAsync(parsed.GetRequiredValue(members), options: tls.Client(parsed)).ConfigureAwait(false);
            var (before, after) = await ArrayGrowth.GrowAsync(
                devices, parsed.GetValue(size) * 1024, parsed.GetValue(zeros), RaidCommands.Options(parsed, force: false)).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"{Sizes.Of(before)} became {Sizes.Of(after)}.").ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }
}
