using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Raid.Devices;

/// <summary>A file or block device by its path, through the page cache; flush is <c>fsync</c>. Held under an exclusive lock.</summary>
public sealed partial class FileDevice : IMemberDevice
{
    private readonly SafeFileHandle _handle;

    private FileDevice(string path, SafeFileHandle handle, long length) => (Name, _handle, Length) = (path, handle, length);

    public string Name { get; }

    public long Length { get; }

    /// <summary>Opens an existing file or block device.</summary>
    /// <exception cref="IOException">It cannot be opened, or another process holds its lock (<c>flock</c>).</exception>
    public static FileDevice Open(string path, bool readOnly = false)
    {
        var handle = File.OpenHandle(
            path, FileMode.Open, readOnly ? FileAccess.Read : FileAccess.ReadWrite, readOnly ? FileShare.ReadWrite : FileShare.None, FileOptions.Asynchronous);
        var length = Seek(handle, 0, 2); // SEEK_END: a block device's file length is 0
        if (length >= 0) return new FileDevice(path, handle, length);
        handle.Dispose();
        throw new IOException($"{path}: neither a file nor a block device.");
    }

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            var read = await RandomAccess.ReadAsync(_handle, buffer, offset).ConfigureAwait(false);
            if (read <= 0) throw new EndOfStreamException($"{Name} ends before byte {offset}.");
            (offset, buffer) = (offset + read, buffer[read..]);
        }
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        // A file would silently grow.
        if (offset + buffer.Length > Length) throw new EndOfStreamException($"{Name} ends before byte {offset + buffer.Length}.");
        return RandomAccess.WriteAsync(_handle, buffer, offset);
    }

    public ValueTask FlushAsync() => new(Task.Run(() =>
    {
        // FileStream and RandomAccess swallow some errors of fsync; a lost write must be heard of.
        if (Sync(_handle) != 0) throw new IOException($"{Name}: fsync failed (errno {Marshal.GetLastPInvokeError()}).");
    }));

    public ValueTask DisposeAsync()
    {
        _handle.Dispose();
        return ValueTask.CompletedTask;
    }

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long Seek(SafeFileHandle file, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int Sync(SafeFileHandle file);
}
