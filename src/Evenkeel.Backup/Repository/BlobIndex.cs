namespace Evenkeel.Backup.Repository;

/// <summary>Where a blob is stored.</summary>
/// <param name="Pack">The pack's id.</param>
/// <param name="Blob">Its place within the pack.</param>
public readonly record struct BlobPlace(ObjectId Pack, PackedBlob Blob);

/// <summary>Which blob is where, for the whole repository, in memory: some 80 bytes a blob. Safe for concurrent use.</summary>
/// <remarks>Packs are numbered so that an entry needs no second id. A blob stored twice keeps its first place; the
/// others stay known through <see cref="Packs"/>.</remarks>
internal sealed class BlobIndex
{
    private readonly Lock _gate = new();
    private readonly Dictionary<ObjectId, Entry> _data = [];
    private readonly Dictionary<ObjectId, Entry> _trees = [];
    private readonly List<ObjectId> _packs = [];
    private readonly Dictionary<ObjectId, int> _packNumbers = [];

    private readonly record struct Entry(int Pack, uint Offset, uint Length, uint Uncompressed);

    public int Count
    {
        get
        {
            lock (_gate)
            {
                return _data.Count + _trees.Count;
            }
        }
    }

    /// <summary>All packs that some index names.</summary>
    public IReadOnlyList<ObjectId> Packs
    {
        get
        {
            lock (_gate)
            {
                return [.. _packs];
            }
        }
    }

    public bool Contains(BlobKind kind, ObjectId id)
    {
        lock (_gate)
        {
            return Table(kind).ContainsKey(id);
        }
    }

    public BlobPlace? Find(BlobKind kind, ObjectId id)
    {
        lock (_gate)
        {
            return Table(kind).TryGetValue(id, out var entry)
                ? new BlobPlace(_packs[entry.Pack], new PackedBlob(kind, id, entry.Offset, entry.Length, entry.Uncompressed))
                : null;
        }
    }

    public void Add(ObjectId pack, IEnumerable<PackedBlob> blobs)
    {
        lock (_gate)
        {
            if (!_packNumbers.TryGetValue(pack, out var number))
            {
                number = _packs.Count;
                _packs.Add(pack);
                _packNumbers.Add(pack, number);
            }
            foreach (var blob in blobs)
            {
                Table(blob.Kind).TryAdd(blob.Id, new Entry(number, blob.Offset, blob.Length, blob.UncompressedLength));
            }
        }
    }

    private Dictionary<ObjectId, Entry> Table(BlobKind kind) => kind == BlobKind.Tree ? _trees : _data;
}
