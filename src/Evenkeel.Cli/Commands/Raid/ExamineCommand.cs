using System.CommandLine;
using System.Text.Json;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>What one member says about itself.</summary>
internal sealed record MemberExamination(
    string Device, string Name, Guid Array, int Level, int Slots, string Role, bool Clean, ulong Events, DateTimeOffset Updated, long DataOffsetBytes, string Features);

/// <summary><c>raid examine</c>.</summary>
internal static class ExamineCommand
{
    public static Command Create()
    {
        var members = RaidCommands.Members();
        var tls = new TlsFiles();
        var output = Cli.Options.Output();
        var command = new DescribedCommand("examine", "Shows what members say about themselves; writes nothing.", "Works on members of arrays that are not running.") { members, output };
        foreach (var option in tls.ClientOptions) command.Options.Add(option);
        command.SetAction((parsed, _) => RaidGuard.RunAsync(async () =>
        {
            var found = new List<MemberExamination>();
            foreach (var device in await MemberDevices.OpenAllAsync(parsed.GetRequiredValue(members), readOnly: true, tls.Client(parsed)).ConfigureAwait(false))
            {
                await using (device.ConfigureAwait(false))
                    found.Add(Of(device.Name, await MemberDevices.ReadSuperblockAsync(device).ConfigureAwait(false)));
            }

            var writer = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(output) == OutputFormat.Json)
                writer.WriteLine(JsonSerializer.Serialize(found, RaidJson.Default.IReadOnlyListMemberExamination));
            else
                foreach (var member in found)
                    writer.WriteLine($"{member.Device}: {member.Name}, RAID {member.Level}, {member.Role}, {(member.Clean ? "clean" : "dirty")}, "
                        + $"{member.Events} events, updated {member.Updated:u}, array {member.Array}");
            return ExitCode.Success;
        }));
        return command;
    }

    private static MemberExamination Of(string device, MdSuperblock superblock) => new(
        device, superblock.Name, superblock.ArrayId, (int)superblock.Level, superblock.Slots,
        superblock.Role switch { MdSuperblock.SpareRole => "spare", MdSuperblock.FaultyRole => "faulty", var slot => $"slot {slot} of {superblock.Slots}" },
        superblock.ResyncOffset == MdSuperblock.Clean, superblock.Events, superblock.Updated, (long)superblock.DataOffset * 512, superblock.Features.ToString());
}
