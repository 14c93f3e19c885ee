namespace Evenkeel.Raid.Array;

/// <summary>Differences in md's unit: <c>mismatch_cnt</c> grows by eight sectors for each 4 KiB that differ.</summary>
internal static class MismatchCount
{
    private const int Page = 4096;

    public static long Sectors(ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        long sectors = 0;
        for (var at = 0; at < a.Length; at += Page)
        {
            var length = Math.Min(Page, a.Length - at);
            if (!a.Slice(at, length).SequenceEqual(b.Slice(at, length))) sectors += Page / 512;
        }

        return sectors;
    }
}
