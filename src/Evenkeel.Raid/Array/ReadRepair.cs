namespace Evenkeel.Raid.Array;

/// <summary>
/// A sector that could not be read but could be rebuilt is written anew, which lets the disk reallocate it. A member that needs that
/// too often, or that cannot be written either, is ejected.
/// </summary>
internal static class ReadRepair
{
    public static async ValueTask CorrectAsync(ArrayMetadata metadata, ArrayMember member, long sector, ReadOnlyMemory<byte> right, IOException error)
    {
        if (!member.Writable) return;
        try
        {
            if (++member.CorrectedReads > metadata.Options.MaximumCorrectedReads)
                throw new IOException($"too many read errors ({member.CorrectedReads}), the last: {error.Message}");
            await member.WriteAsync(sector, right).ConfigureAwait(false);
            metadata.Options.OnEvent(new ArrayEvent("ReadCorrected", member.Device.Name, $"{right.Length} bytes at data sector {sector} ({error.Message})"));
        }
        catch (IOException e)
        {
            if (metadata.Survives(member)) await metadata.FailAsync(member, e.Message).ConfigureAwait(false);
        }
    }
}
