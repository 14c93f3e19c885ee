namespace Evenkeel.Backup.Engine;

/// <summary>Counters that a running operation adds to and a display reads at its own pace.</summary>
public sealed class BackupProgress
{
    private long _files, _bytes, _takenOver, _new, _changed, _unmodified;

    /// <summary>Files done.</summary>
    public long Files => Interlocked.Read(ref _files);

    /// <summary>Bytes of them.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Those of them that were taken over from an earlier snapshot without reading.</summary>
    public long BytesTakenOver => Interlocked.Read(ref _takenOver);

    /// <summary>Files that are new.</summary>
    public long FilesNew => Interlocked.Read(ref _new);

    /// <summary>Files that differ.</summary>
    public long FilesChanged => Interlocked.Read(ref _changed);

    /// <summary>Files taken over.</summary>
    public long FilesUnmodified => Interlocked.Read(ref _unmodified);

    internal void AddFile() => Interlocked.Increment(ref _files);

    internal void AddBytes(long bytes) => Interlocked.Add(ref _bytes, bytes);

    internal void AddBytesTakenOver(long bytes)
    {
        AddBytes(bytes);
        Interlocked.Add(ref _takenOver, bytes);
    }

    internal void AddNew() => Interlocked.Increment(ref _new);

    internal void AddChanged() => Interlocked.Increment(ref _changed);

    internal void AddUnmodified() => Interlocked.Increment(ref _unmodified);
}
