using System.Globalization;
using Evenkeel.Cli.Backup;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>Arrays in words.</summary>
internal static class ArrayText
{
    public static void Write(TextWriter output, ArrayReport array)
    {
        output.WriteLine($"{array.Name}: RAID {array.Level} of {array.Slots}, {Sizes.Of(array.Bytes)}, {array.State}{(array.Uri.Length > 0 ? $", {array.Uri}" : "")}");
        output.WriteLine($"  id {array.Id}{(array.SyncBytesPerSecond is { } limit ? $", sync limited to {Sizes.Of(limit)}/s" : "")}");
        if (array.Activity != "idle") output.WriteLine($"  {array.Activity} {Percent(array)}");
        if (array.OutOfSyncBytes > 0) output.WriteLine($"  {Sizes.Of(array.OutOfSyncBytes)} wait for a resync");
        if (array.Mismatches is { } mismatches) output.WriteLine($"  last scrub: {mismatches} sectors disagreed");
        foreach (var member in array.Members)
            output.WriteLine($"  {(member.Slot >= 0 ? $"slot {member.Slot}" : "-"),-7} {Word(member.State)}{(member.IsReplacement ? " (to take over)" : "")} {member.Device}"
                + (member.CorrectedReads > 0 ? $", {member.CorrectedReads} corrected reads" : ""));
    }

    public static string Percent(ArrayReport array) => array.TotalBytes == 0 ? "begins"
        : string.Create(CultureInfo.InvariantCulture, $"{100.0 * array.DoneBytes / array.TotalBytes:0.0} % of {Sizes.Of(array.TotalBytes)}");

    private static string Word(MemberState state) => state switch
    {
        MemberState.InSync => "in sync", MemberState.Rebuilding => "rebuilding", MemberState.Spare => "spare", _ => "faulty",
    };
}
