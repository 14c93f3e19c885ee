using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>Which fixed blocks of a file are taken over from an earlier snapshot. Pure.</summary>
/// <param name="old">The file there.</param>
/// <param name="size">The file's size now, bytes.</param>
/// <param name="changes">What may have changed since.</param>
/// <param name="isStored">Whether the repository has a chunk; one that was lost is read and stored again.</param>
internal sealed class TakenOverChunks(Node old, long size, IChangedBytes changes, Func<ObjectId, bool> isStored)
{
    private const long Block = FileReader.FixedBlock;
    private readonly IReadOnlyList<ObjectId> _content = IsInBlocks(old) ? old.Content! : [];

    /// <summary>The chunk at an index; null when it must be read.</summary>
    /// <remarks>The last one of a file may be shorter than a block, and is another one as soon as the file's length is.</remarks>
    public ObjectId? At(int index)
    {
        var from = index * Block;
        return index < _content.Count && End(from, size) == End(from, (long)old.Size) && !changes.Any(from, End(from, size)) && isStored(_content[index])
            ? _content[index] : null;
    }

    private static long End(long from, long size) => Math.Min(from + Block, size);

    /// <summary>A file that was cut by its content has other, mostly fewer, chunks.</summary>
    private static bool IsInBlocks(Node old) => old.Content is { } content && content.Count == ((long)old.Size + Block - 1) / Block;
}
