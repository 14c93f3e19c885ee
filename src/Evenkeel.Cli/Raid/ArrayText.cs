using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Cli.Raid;

/// <summary>Arrays and members in words.</summary>
internal static class ArrayText
{
    public static async Task WriteAsync(TextWriter output, RaidArray array)
    {
        await output.WriteLineAsync($"{array.Name}: RAID {(int)array.Geometry.Level} of {array.Geometry.Members}, {array.Length} bytes, {array.Id}").ConfigureAwait(false);
        foreach (var member in array.Members)
            await output.WriteLineAsync($"  {member.Device.Name}: {member.State}{(member.Slot >= 0 ? $", slot {member.Slot}" : "")}").ConfigureAwait(false);
    }

    public static async Task WriteMemberAsync(TextWriter output, IMemberDevice device)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        await device.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
        var superblock = MdSuperblockCodec.Read(bytes);
        var role = superblock.Role switch
        {
            MdSuperblock.SpareRole => "spare", MdSuperblock.FaultyRole => "faulty", var slot => $"slot {slot} of {superblock.Slots}",
        };
        await output.WriteLineAsync(
            $"{device.Name}: {superblock.Name}, RAID {(int)superblock.Level}, {role}, {(superblock.ResyncOffset == MdSuperblock.Clean ? "clean" : "dirty")}, "
            + $"{superblock.Events} events, updated {superblock.Updated:u}, array {superblock.ArrayId}").ConfigureAwait(false);
    }
}
