using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>A file whose chunks are being stored in any order; the last one completes its node.</summary>
internal sealed class FileInProgress(TreeInProgress tree, int slot)
{
    private readonly Lock _gate = new();
    private readonly List<ObjectId> _content = [];
    private Node? _node;
    private int _pending = 1; // the reader's own hold, released by Finish

    /// <summary>A place for the next chunk.</summary>
    public int Reserve()
    {
        lock (_gate)
        {
            _content.Add(default);
            Interlocked.Increment(ref _pending); // Release counts down without the gate
            return _content.Count - 1;
        }
    }

    public ValueTask SetAsync(int index, ObjectId id, TreeSink sink, CancellationToken cancellation)
    {
        lock (_gate)
        {
            _content[index] = id;
        }
        return ReleaseAsync(sink, cancellation);
    }

    /// <summary>All chunks are reserved; a null node drops the file.</summary>
    public ValueTask FinishAsync(Node? node, TreeSink sink, CancellationToken cancellation)
    {
        _node = node;
        return ReleaseAsync(sink, cancellation);
    }

    private ValueTask ReleaseAsync(TreeSink sink, CancellationToken cancellation) =>
        Interlocked.Decrement(ref _pending) > 0 ? ValueTask.CompletedTask
            : tree.SetAsync(slot, _node is null ? null : _node with { Content = _content }, sink, cancellation);
}
