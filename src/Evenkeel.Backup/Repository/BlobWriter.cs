using System.Collections.Concurrent;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Crypto;

namespace Evenkeel.Backup.Repository;

/// <summary>
/// Stores blobs that the repository lacks: compresses, seals, packs, uploads, and indexes. Safe for concurrent use.
/// </summary>
/// <remarks>
/// The order makes every crash harmless: a pack is uploaded before an index names it, an index before a snapshot needs it.
/// An index goes out every 50,000 blobs or ten minutes, so that a killed backup finds most of its work again.
/// At most two packs wait for the backend; whoever fills the next one waits.
/// </remarks>
public sealed class BlobWriter : IAsyncDisposable
{
    /// <summary>What a pack grows to before it is uploaded, bytes.</summary>
    public const int DefaultPackSize = 16 << 20;
    internal const int IndexEveryBlobs = 50_000;
    private const int Uploads = 2;
    private static readonly TimeSpan IndexEvery = TimeSpan.FromMinutes(10);

    private readonly ResticRepository _repository;
    private readonly Lock _gate = new();
    private readonly HashSet<(BlobKind, ObjectId)> _inFlight = [];
    private readonly PackBuilder?[] _open = new PackBuilder?[2];
    private readonly SemaphoreSlim _slots;
    private readonly ConcurrentBag<byte[]> _packRooms = [];
    private readonly ConcurrentBag<SealRoom> _rooms = [];
    private readonly bool _knowsIndex;
    private readonly List<IndexedPack> _written = [];
    private readonly int _packSize;
    private List<IndexedPack> _unindexed = [];
    private int _unindexedBlobs;
    private DateTimeOffset _lastIndex;
    private long _storedBytes;
    private long _newBlobs;
    private Exception? _failure;

    /// <summary>Begins writing; the repository's index must be loaded.</summary>
    public BlobWriter(ResticRepository repository, int packSize = DefaultPackSize)
        : this(repository, knowsIndex: true, packSize)
    {
    }

    /// <summary>For repacking: <paramref name="knowsIndex"/> false stores blobs although the repository has them.</summary>
    internal BlobWriter(ResticRepository repository, bool knowsIndex, int packSize = DefaultPackSize)
    {
        _knowsIndex = knowsIndex;
        _repository = repository;
        _packSize = packSize;
        _slots = new SemaphoreSlim(Uploads);
        _lastIndex = repository.Time.GetUtcNow();
    }

    /// <summary>Bytes of envelopes stored so far.</summary>
    public long StoredBytes => Interlocked.Read(ref _storedBytes);

    /// <summary>Blobs stored so far that the repository did not have.</summary>
    public long NewBlobs => Interlocked.Read(ref _newBlobs);

    /// <summary>The packs of a repacking writer; complete after a flush.</summary>
    internal IReadOnlyList<IndexedPack> WrittenPacks => _written;

    /// <summary>Stores a blob unless it is there already; true when it was new.</summary>
    public async ValueTask<bool> WriteAsync(BlobKind kind, ObjectId id, ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        if (_failure is { } failure)
        {
            throw new RepositoryException((failure as RepositoryException)?.Error ?? RepositoryError.Unavailable, failure.Message, failure);
        }
        lock (_gate)
        {
            if ((_knowsIndex && _repository.Index.Contains(kind, id)) || !_inFlight.Add((kind, id)))
            {
                return false;
            }
        }
        if (!_rooms.TryTake(out var room))
        {
            room = new SealRoom();
        }
        PackBuilder? full = null;
        var sealedBlob = Seal(content.Span, room, out var uncompressed);
        lock (_gate)
        {
            var pack = _open[(int)kind] ??= new PackBuilder(_packSize, _packRooms);
            if (!pack.HasRoomFor(sealedBlob.Length))
            {
                full = pack;
                pack = _open[(int)kind] = new PackBuilder(_packSize, _packRooms);
            }
            pack.Add(kind, id, sealedBlob, uncompressed);
        }
        Interlocked.Add(ref _storedBytes, sealedBlob.Length);
        Interlocked.Increment(ref _newBlobs);
        _rooms.Add(room);
        if (full is not null)
        {
            await StartUploadAsync(full, cancellation).ConfigureAwait(false);
        }
        return true;
    }

    /// <summary>Uploads what is open and writes the index; afterwards a snapshot may refer to everything written.</summary>
    public async Task FlushAsync(CancellationToken cancellation)
    {
        for (var kind = 0; kind < _open.Length; kind++)
        {
            PackBuilder? pack;
            lock (_gate)
            {
                (pack, _open[kind]) = (_open[kind], null);
            }
            if (pack is not null)
            {
                await StartUploadAsync(pack, cancellation).ConfigureAwait(false);
            }
        }
        await DrainAsync(cancellation).ConfigureAwait(false);
        if (_failure is not null)
        {
            throw _failure is RepositoryException ? _failure : new RepositoryException(RepositoryError.Unavailable, _failure.Message, _failure);
        }
        await WriteIndexAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Waits for uploads under way; what was not flushed is forgotten.</summary>
    public async ValueTask DisposeAsync()
    {
        await DrainAsync(CancellationToken.None).ConfigureAwait(false);
        foreach (var pack in _open)
        {
            pack?.Dispose();
        }
        _slots.Dispose();
    }

    private Span<byte> Seal(ReadOnlySpan<byte> content, SealRoom room, out int uncompressed)
    {
        uncompressed = 0;
        if (_repository.Compresses)
        {
            var output = room.Sealed(Zstd.Bound(content.Length) + MasterKey.Overhead);
            // Compressed where it will lie, and encrypted in place.
            var compressed = output.Slice(MasterKey.IvSize, _repository.Codec.Compress(content, output[MasterKey.IvSize..]));
            // What does not shrink is stored as it is: smaller, and quicker to restore.
            if (compressed.Length < content.Length)
            {
                uncompressed = content.Length;
                var envelope = output[..(compressed.Length + MasterKey.Overhead)];
                _repository.Key.Seal(compressed, envelope);
                Verify(content, envelope, room);
                return envelope;
            }
        }
        var plain = room.Sealed(content.Length + MasterKey.Overhead);
        _repository.Key.Seal(content, plain);
        return plain;
    }

    // Memory that flips a bit between hashing and storing would otherwise be found by the restore that needs it.
    private void Verify(ReadOnlySpan<byte> content, ReadOnlySpan<byte> envelope, SealRoom room)
    {
        var compressed = room.Opened(envelope.Length);
        var plain = room.Plain(content.Length);
        if (!_repository.Key.TryOpen(envelope, compressed, out var length)
            || !_repository.Codec.TryDecompress(compressed[..length], plain)
            || !plain.SequenceEqual(content))
        {
            throw new RepositoryException(RepositoryError.Damaged, "a blob did not read back as it was written; is this machine's memory sound?");
        }
    }

    private async Task StartUploadAsync(PackBuilder pack, CancellationToken cancellation)
    {
        await _slots.WaitAsync(cancellation).ConfigureAwait(false);
        _ = Task.Run(
            async () =>
            {
                try
                {
                    await UploadAsync(pack, cancellation).ConfigureAwait(false);
                }
                catch (Exception e)
                {
                    // Kept for the next caller: an upload has nobody of its own to tell.
                    Interlocked.CompareExchange(ref _failure, e, null);
                }
                finally
                {
                    pack.Dispose();
                    _slots.Release();
                }
            },
            CancellationToken.None);
    }

    private async Task UploadAsync(PackBuilder pack, CancellationToken cancellation)
    {
        var bytes = pack.Finish(_repository.Key);
        var id = ObjectId.Hash(bytes.Span);
        await _repository.Backend.SaveAsync(FileKind.Pack, id.ToString(), bytes, cancellation).ConfigureAwait(false);
        IReadOnlyList<PackedBlob> blobs = [.. pack.Blobs];
        _repository.Index.Add(id, blobs);
        bool due;
        lock (_gate)
        {
            // From here on the index knows them; a repacking writer must still remember.
            foreach (var blob in _knowsIndex ? blobs : [])
            {
                _inFlight.Remove((blob.Kind, blob.Id));
            }
            var indexed = new IndexedPack(id, blobs);
            _unindexed.Add(indexed);
            if (!_knowsIndex)
            {
                _written.Add(indexed);
            }
            _unindexedBlobs += blobs.Count;
            due = _unindexedBlobs >= IndexEveryBlobs || _repository.Time.GetUtcNow() - _lastIndex >= IndexEvery;
        }
        if (due)
        {
            await WriteIndexAsync(cancellation).ConfigureAwait(false);
        }
    }

    private async Task WriteIndexAsync(CancellationToken cancellation)
    {
        List<IndexedPack> packs;
        lock (_gate)
        {
            (packs, _unindexed) = (_unindexed, []);
            _unindexedBlobs = 0;
            _lastIndex = _repository.Time.GetUtcNow();
        }
        if (packs.Count > 0)
        {
            await _repository.SaveUnpackedAsync(FileKind.Index, IndexFile.Encode(packs), cancellation).ConfigureAwait(false);
        }
    }

    // All slots taken means that no upload is under way.
    private async Task DrainAsync(CancellationToken cancellation)
    {
        var taken = 0;
        try
        {
            for (; taken < Uploads; taken++)
            {
                await _slots.WaitAsync(cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            if (taken > 0)
            {
                _slots.Release(taken);
            }
        }
    }
}
