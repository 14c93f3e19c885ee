using Evenkeel.Raid.Geometry;

namespace Evenkeel.Raid.Array;

/// <summary>Which sync sectors (what bitmap bits count) a range of array sectors touches.</summary>
internal static class SyncSpace
{
    public static (long Sector, long Count) Of(ArrayGeometry geometry, long sector, long count)
    {
        if (!geometry.HasParity) return (sector, count);
        long chunk = geometry.ChunkSectors, row = chunk * geometry.DataMembers;
        if (sector / chunk == (sector + count - 1) / chunk) return (sector / row * chunk + sector % chunk, count);
        long first = sector / row, last = (sector + count - 1) / row;
        return (first * chunk, (last - first + 1) * chunk);
    }
}
