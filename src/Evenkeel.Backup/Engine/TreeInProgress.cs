using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>
/// A directory whose entries are being stored. Whoever completes the last entry encodes and stores the tree, and goes on with its
/// parent: no thread ever waits for a directory.
/// </summary>
internal sealed class TreeInProgress(TreeInProgress? parent, Node? own)
{
    private readonly Lock _gate = new();
    private readonly List<Node?> _nodes = [];
    private int _pending = 1; // the walker's own hold, released by Close

    /// <summary>The stored tree's id; null until every entry below is stored.</summary>
    public ObjectId? Id { get; private set; }

    private int Slot { get; } = parent?.Reserve() ?? 0;

    /// <summary>Adds a place for an entry that <see cref="SetAsync"/> fills (with null when it is lost).</summary>
    public int Reserve()
    {
        lock (_gate)
        {
            _nodes.Add(null);
            Interlocked.Increment(ref _pending); // Release counts down without the gate
            return _nodes.Count - 1;
        }
    }

    /// <summary>Fills a reserved place.</summary>
    public async ValueTask SetAsync(int slot, Node? node, TreeSink sink, CancellationToken cancellation)
    {
        lock (_gate)
        {
            _nodes[slot] = node;
        }
        await ReleaseAsync(sink, cancellation).ConfigureAwait(false);
    }

    /// <summary>The walker has reserved everything.</summary>
    public ValueTask CloseAsync(TreeSink sink, CancellationToken cancellation) => ReleaseAsync(sink, cancellation);

    private async ValueTask ReleaseAsync(TreeSink sink, CancellationToken cancellation)
    {
        if (Interlocked.Decrement(ref _pending) > 0)
        {
            return;
        }
        var id = await sink.StoreAsync([.. _nodes.OfType<Node>()], cancellation).ConfigureAwait(false);
        Id = id;
        if (parent is not null)
        {
            await parent.SetAsync(Slot, own! with { Subtree = id }, sink, cancellation).ConfigureAwait(false);
        }
    }
}

/// <summary>Stores trees and counts them.</summary>
internal sealed class TreeSink(BlobWriter writer)
{
    private long _added, _count;

    public long AddedBytes => Interlocked.Read(ref _added);

    public long Added => Interlocked.Read(ref _count);

    public async ValueTask<ObjectId> StoreAsync(IReadOnlyList<Node> nodes, CancellationToken cancellation)
    {
        var json = TreeJson.Encode(nodes);
        var id = ObjectId.Hash(json);
        if (await writer.WriteAsync(BlobKind.Tree, id, json, cancellation).ConfigureAwait(false))
        {
            Interlocked.Add(ref _added, json.Length);
            Interlocked.Increment(ref _count);
        }
        return id;
    }
}
