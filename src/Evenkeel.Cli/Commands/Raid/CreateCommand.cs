using System.CommandLine;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary><c>raid create</c>.</summary>
internal static class CreateCommand
{
    public static Command Create()
    {
        var members = RaidCommands.Members();
        var level = new Option<int>("--level") { Description = "0, 1, 5, 6 or 10.", Required = true, HelpName = "N" };
        var name = new Option<string>("--name") { Description = "The array's name, up to 32 bytes.", Required = true, HelpName = "NAME" };
        var spares = new Option<int>("--spares") { Description = "How many of the members, the last ones, are hot spares.", HelpName = "N" };
        var chunk = new Option<int>("--chunk") { Description = "KiB in a chunk, a power of two.", DefaultValueFactory = _ => 512, HelpName = "KIB" };
        var size = new Option<long?>("--size") { Description = "KiB used of each member; all that the smallest has when left out.", HelpName = "KIB" };
        var zeros = new Option<bool>("--assume-clean") { Description = "Skip the first resync: right only for members that read as zeros." };
        var bitmap = new Option<bool>("--no-bitmap") { Description = "Keep no write-intent bitmap: an unclean stop then resyncs everything." };
        var log = new Option<bool>("--ppl") { Description = "RAID 5: log partial parity instead of a bitmap, which leaves nothing uncertain after an unclean stop, and costs writes." };
        var force = new Option<bool>("--force") { Description = "Take members that belong to an array already, or are not empty." };
        var tls = new TlsFiles();
        var command = new DescribedCommand("create", "Makes an array; what is on the members is lost.",
            "Refuses members that carry an md superblock or begin with any other data, unless --force. Without --assume-clean the first 'raid serve' or\n"
            + "'raid assemble' makes the redundancy good while the array is in use.")
        { members, level, name, spares, chunk, size, zeros, bitmap, log, force };
        foreach (var option in tls.ClientOptions) command.Options.Add(option);
        command.SetAction((parsed, stop) => RaidGuard.RunAsync(async () =>
        {
            var devices = await MemberDevices.OpenAllAsync(parsed.GetRequiredValue(members), options: tls.Client(parsed)).ConfigureAwait(false);
            if (!parsed.GetValue(force)) await MemberDevices.RefuseUsedAsync(devices).ConfigureAwait(false);
            await using var array = await ArrayCreation.CreateAsync(new ArrayDefinition
            {
                Level = (RaidLevel)parsed.GetRequiredValue(level),
                Name = parsed.GetRequiredValue(name),
                Slots = devices.Count - parsed.GetValue(spares),
                ChunkBytes = parsed.GetValue(chunk) * 1024,
                MemberBytes = parsed.GetValue(size) * 1024,
                AssumeClean = parsed.GetValue(zeros),
                Bitmap = !parsed.GetValue(bitmap),
                PartialParityLog = parsed.GetValue(log),
            }, devices).ConfigureAwait(false);
            await array.StopAsync().ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(
                $"{array.Name}: RAID {(int)array.Geometry.Level} of {array.Geometry.Members}, {array.Length} bytes, {array.Id}").ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }
}
