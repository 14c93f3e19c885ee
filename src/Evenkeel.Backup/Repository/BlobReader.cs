using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Crypto;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Repository;

/// <summary>Reads single blobs through the index, which must be loaded. Safe for concurrent use.</summary>
public sealed class BlobReader(ResticRepository repository)
{
    /// <summary>The plain content of a blob; fails with <see cref="RepositoryError.NotFound"/> or <see cref="RepositoryError.Damaged"/>.</summary>
    public async Task<byte[]> ReadAsync(BlobKind kind, ObjectId id, CancellationToken cancellation)
    {
        var place = repository.Index.Find(kind, id)
            ?? throw new RepositoryException(RepositoryError.NotFound, $"{kind} blob {id.Brief} is in no index");
        var envelope = await repository.Backend
            .LoadAsync(FileKind.Pack, place.Pack.ToString(), place.Blob.Offset, (int)place.Blob.Length, cancellation).ConfigureAwait(false);
        return Open(repository, place.Blob, envelope, place.Pack);
    }

    /// <summary>The nodes of a directory.</summary>
    public async Task<List<Node>> ReadTreeAsync(ObjectId id, CancellationToken cancellation) =>
        TreeJson.Decode(await ReadAsync(BlobKind.Tree, id, cancellation).ConfigureAwait(false));

    /// <summary>Decrypts, decompresses and hashes one blob of a pack.</summary>
    internal static byte[] Open(ResticRepository repository, PackedBlob blob, ReadOnlySpan<byte> envelope, ObjectId pack) =>
        Open(repository, blob, envelope, pack, new SealRoom()).ToArray();

    /// <summary>The same without a new array: the content is valid until the room is used again.</summary>
    internal static ReadOnlySpan<byte> Open(ResticRepository repository, PackedBlob blob, ReadOnlySpan<byte> envelope, ObjectId pack, SealRoom room)
    {
        if (envelope.Length < MasterKey.Overhead || blob.UncompressedLength > int.MaxValue / 2)
        {
            throw Damaged(blob, pack, "has an impossible length");
        }
        var opened = room.Opened(envelope.Length);
        if (!repository.Key.TryOpen(envelope, opened, out var length))
        {
            throw Damaged(blob, pack, "does not authenticate");
        }
        ReadOnlySpan<byte> content = opened[..length];
        if (blob.UncompressedLength != 0)
        {
            var plain = room.Plain((int)blob.UncompressedLength);
            if (!repository.Codec.TryDecompress(content, plain))
            {
                throw Damaged(blob, pack, "does not decompress");
            }
            content = plain;
        }
        return ObjectId.Hash(content) == blob.Id ? content : throw Damaged(blob, pack, "has content of another id");
    }

    private static RepositoryException Damaged(PackedBlob blob, ObjectId pack, string how) =>
        new(RepositoryError.Damaged, $"{blob.Kind} blob {blob.Id.Brief} in pack {pack.Brief} {how}");
}
