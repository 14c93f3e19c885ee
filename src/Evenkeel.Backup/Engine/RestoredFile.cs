using Evenkeel.Backup.Files;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>A file that is being restored: made at its first chunk, finished at its last. Chunks may come in any order.</summary>
internal sealed class RestoredFile(byte[] path, Node node)
{
    private readonly Lock _gate = new();
    private bool _made;
    private int _pending = node.Content!.Count;

    public byte[] Path { get; } = path;

    public Node Node { get; } = node;

    /// <summary>Whether a chunk of it was lost; such a file is removed, not left with holes that look like content.</summary>
    public bool Failed { get; private set; }

    /// <summary>Writes a chunk; true when it was the last and the file is whole.</summary>
    public bool Write(long offset, ReadOnlySpan<byte> content)
    {
        lock (_gate)
        {
            if (!Failed)
            {
                using var handle = FileWriting.Open(Path, create: !_made);
                if (!_made && Node.Content!.Count > 1)
                {
                    // The full length at once: what is not written stays a hole.
                    RandomAccess.SetLength(handle, (long)Node.Size);
                }
                _made = true;
                FileWriting.WriteSparsely(handle, content, offset, (long)Node.Size);
            }
            return --_pending == 0 && !Failed;
        }
    }

    /// <summary>A chunk cannot be had: gives the file up.</summary>
    public bool Fail()
    {
        lock (_gate)
        {
            var first = !Failed;
            Failed = true;
            _pending--;
            if (_made)
            {
                _ = Native.unlink(FileSystem.Terminated(Path));
                _made = false;
            }
            return first;
        }
    }
}
