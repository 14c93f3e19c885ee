using System.Collections.Concurrent;
using Evenkeel.Backup.Crypto;

namespace Evenkeel.Backup.Repository;

/// <summary>A pack that is being filled, in memory: blobs ‖ sealed header ‖ header length. Not safe for concurrent use.</summary>
/// <param name="rooms">Where the memory comes from and goes back to. A shared pool of arrays keeps some of each size for every thread.</param>
internal sealed class PackBuilder(int targetSize, ConcurrentBag<byte[]> rooms) : IDisposable
{
    // restic refuses headers above 16 MiB; far below that, so that a pack of tiny blobs stays quick to list.
    private const int MaximumBlobs = 100_000;
    private readonly List<PackedBlob> _blobs = [];
    private byte[] _bytes = rooms.TryTake(out var room) ? room : GC.AllocateUninitializedArray<byte>(targetSize);
    private int _length;

    public int TargetSize { get; } = targetSize;

    public IReadOnlyList<PackedBlob> Blobs => _blobs;

    /// <summary>Whether a further envelope and the header fit into the size aimed at. The first one always does.</summary>
    public bool HasRoomFor(int length) => IsEmpty || (_length + length + PackHeader.Size(_blobs.Count + 1) <= TargetSize && _blobs.Count < MaximumBlobs);

    public bool IsEmpty => _blobs.Count == 0;

    /// <summary>Appends an envelope.</summary>
    public void Add(BlobKind kind, ObjectId id, ReadOnlySpan<byte> envelope, int uncompressedLength)
    {
        Reserve(envelope.Length);
        envelope.CopyTo(_bytes.AsSpan(_length));
        _blobs.Add(new PackedBlob(kind, id, (uint)_length, (uint)envelope.Length, (uint)uncompressedLength));
        _length += envelope.Length;
    }

    /// <summary>Appends the header; the pack's bytes, valid until this is disposed.</summary>
    public ReadOnlyMemory<byte> Finish(MasterKey key)
    {
        var header = PackHeader.Encode(_blobs, key);
        Reserve(header.Length);
        header.CopyTo(_bytes.AsSpan(_length));
        _length += header.Length;
        // Reading back what is about to be stored finds a flipped bit while the source is still there to be read again.
        if (!PackHeader.Decode(_bytes.AsSpan(0, _length), key).SequenceEqual(_blobs))
        {
            throw new RepositoryException(RepositoryError.Damaged, "a pack did not read back as it was written; is this machine's memory sound?");
        }
        return _bytes.AsMemory(0, _length);
    }

    public void Dispose()
    {
        if (_bytes.Length == TargetSize)
        {
            rooms.Add(_bytes);
        }
        _bytes = [];
    }

    // One blob, or its header, may be larger than what a pack is to be.
    private void Reserve(int more)
    {
        if (_length + more <= _bytes.Length)
        {
            return;
        }
        var larger = GC.AllocateUninitializedArray<byte>(_length + more);
        _bytes.AsSpan(0, _length).CopyTo(larger);
        Dispose();
        _bytes = larger;
    }
}
