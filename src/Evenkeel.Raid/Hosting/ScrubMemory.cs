using System.Text.Json;
using Evenkeel.Raid.Array;

namespace Evenkeel.Raid.Hosting;

/// <summary>A scrub that has not ended, as its file has it.</summary>
/// <param name="Repair">Whether redundancy is rewritten.</param>
/// <param name="Sector">How far it has come.</param>
/// <param name="Mismatches">What disagreed until there.</param>
/// <param name="SyncSectors">The array's size then; another size makes it void.</param>
public sealed record UnfinishedScrub(bool Repair, long Sector, long Mismatches, long SyncSectors);

/// <summary>The file of one array's unfinished scrub. A file that cannot be written costs the memory, not the scrub.</summary>
internal sealed class ScrubMemory(string? path, RaidArray array)
{
    public UnfinishedScrub? Load()
    {
        try
        {
            if (path is null || !File.Exists(path)) return null;
            var found = JsonSerializer.Deserialize(File.ReadAllBytes(path), HostJson.Default.UnfinishedScrub);
            return found is { Sector: >= 0, Mismatches: >= 0 } && found.SyncSectors == array.Geometry.SyncSectors ? found : null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or JsonException)
        {
            return null;
        }
    }

    public void Save(bool repair, ScrubPoint point)
    {
        if (path is null) return;
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(
                new UnfinishedScrub(repair, point.Sector, point.Mismatches, array.Geometry.SyncSectors), HostJson.Default.UnfinishedScrub));
            File.Move(path + ".new", path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Then it begins anew after a restart.
        }
    }

    public void Clear()
    {
        try
        {
            if (path is not null) File.Delete(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // An old scrub is done once more; nothing worse.
        }
    }
}
