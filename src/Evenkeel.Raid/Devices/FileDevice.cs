using System.Runtime.CompilerServices;
using Evenkeel.Raid.Devices.Uring;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Raid.Devices;

/// <summary>
/// A file or block device by its path, held under an exclusive lock; a block device also against mounts and the kernel's own arrays.
/// Through the page cache: writes on the caller's thread, reads too where the cache has them, else by the thread pool, or with
/// EVENKEEL_IO_URING=1 through io_uring. Unbuffered, all goes through io_uring.
/// </summary>
public sealed class FileDevice : IMemberDevice
{
    private static readonly TimeSpan ClosingPatience = TimeSpan.FromSeconds(5);
    private readonly SafeFileHandle _handle;
    private readonly SafeFileHandle? _claim;
    private readonly Ring? _ring;
    private readonly int _file;
    private readonly CallsUnderWay _calls = new();

    private FileDevice(string path, SafeFileHandle handle, SafeFileHandle? claim, long length, Ring? ring, bool direct)
    {
        (Name, _handle, _claim, Length, _ring, IsDirect) = (path, handle, claim, length, ring, direct);
        _file = (int)handle.DangerousGetHandle(); // closed after the last call: no request of the ring meets another file
    }

    public string Name { get; }

    public long Length { get; }

    /// <summary>Whether the page cache is left out.</summary>
    public bool IsDirect { get; }

    public bool CanDiscard => true;

    /// <summary>Opens an existing file or block device.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="readOnly">For reading alone; then others may have it open too.</param>
    /// <param name="direct">Leave the page cache out (O_DIRECT) if the device takes requests of 512 bytes; needs io_uring.</param>
    /// <exception cref="IOException">It cannot be opened, or another process holds its lock (<c>flock</c>), or the kernel uses the block device.</exception>
    public static FileDevice Open(string path, bool readOnly = false, bool direct = false) =>
        Open(path, readOnly, direct, direct || Environment.GetEnvironmentVariable("EVENKEEL_IO_URING") == "1" ? Ring.Shared : null);

    internal static FileDevice Open(string path, bool readOnly, bool direct, Ring? ring)
    {
        var handle = File.OpenHandle(
            path, FileMode.Open, readOnly ? FileAccess.Read : FileAccess.ReadWrite, readOnly ? FileShare.ReadWrite : FileShare.None, FileOptions.Asynchronous);
        var length = NativeFile.End(handle); // a block device's file length is 0
        if (length >= 0)
        {
            // A lock says nothing to the kernel: a mounted disk would be written under its file system.
            var claim = !readOnly && NativeFile.IsBlockDevice(handle) ? NativeFile.Claim(path) ?? throw InUse(path, handle) : null;
            return new FileDevice(path, handle, claim, length, ring, direct && ring is not null && CanBeDirect(handle));
        }

        handle.Dispose();
        throw new IOException($"{path}: neither a file nor a block device.");
    }

    /// <summary>Whether a device's first MiB is all zero: no partition table, file system or volume manager has begun there.</summary>
    public static async Task<bool> IsBlankAsync(IMemberDevice device)
    {
        var bytes = new byte[Math.Min(device.Length, 1 << 20)];
        await device.ReadAsync(0, bytes).ConfigureAwait(false);
        return bytes.AsSpan().IndexOfAnyExcept((byte)0) < 0;
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        if (IsDirect) return DirectAsync(offset, buffer, default);
        using var call = Begin();
        var read = (int)NativeFile.ReadNow(_handle, offset, buffer.Span);
        if (read == buffer.Length) return default;
        return read > 0 ? SlowReadAsync(offset + read, buffer[read..]) : SlowReadAsync(offset, buffer);
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        // A file would silently grow.
        if (offset + buffer.Length > Length) throw new EndOfStreamException($"{Name} ends before byte {offset + buffer.Length}.");
        if (IsDirect) return DirectAsync(offset, default, buffer);
        using var call = Begin();
        while (buffer.Length > 0)
        {
            var written = NativeFile.Write(_handle, offset, buffer.Span);
            if (written <= 0) throw new IOException($"{Name}: write failed (errno {-written}).");
            (offset, buffer) = (offset + written, buffer[(int)written..]);
        }

        return default;
    }

    public ValueTask ZeroAsync(long offset, long length)
    {
        if (offset + length > Length) throw new EndOfStreamException($"{Name} ends before byte {offset + length}.");
        using var call = Begin();
        return NativeFile.Punch(_handle, offset, length) == 0 ? default : Zeros.WriteAsync(this, offset, length);
    }

    public async ValueTask FlushAsync()
    {
        using var call = Begin();
        // FileStream and RandomAccess swallow some errors of fsync; a lost write must be heard of.
        var error = _ring is null ? await Task.Run(() => NativeFile.DataSync(_handle)).ConfigureAwait(false) : -await _ring.SyncAsync(_file).ConfigureAwait(false);
        if (error != 0) throw new IOException($"{Name}: fsync failed (errno {error}).");
    }

    /// <summary>How far from an offset on the file has data, or has none.</summary>
    public (bool Hole, long Length) ExtentAt(long offset)
    {
        var data = NativeFile.NextData(_handle, offset);
        if (data < 0) return (true, Length - offset);
        if (data > offset) return (true, data - offset);
        var hole = NativeFile.NextHole(_handle, offset);
        return (false, hole < 0 ? Length - offset : hole - offset);
    }

    /// <summary>
    /// Closes the file after the last call that is under way, and returns then: another may open it at once. Of a disk that answers no more
    /// it waits for a while only.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        try
        {
            await CloseAsync().WaitAsync(ClosingPatience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            // It is closed when the disk has answered.
        }
    }

    private async Task CloseAsync()
    {
        await _calls.EndAsync().ConfigureAwait(false);
        _handle.Dispose();
        _claim?.Dispose();
    }

    private CallsUnderWay.Call Begin() => _calls.TryBegin() ?? throw new IOException($"{Name}: it was closed.");

    private static IOException InUse(string path, SafeFileHandle handle)
    {
        handle.Dispose();
        return new IOException($"{path} is in use: it is mounted, or part of an array, of LVM or of the device mapper. 'lsblk {path}' shows by what.");
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SlowReadAsync(long offset, Memory<byte> buffer)
    {
        using var call = Begin();
        while (buffer.Length > 0)
        {
            var read = _ring is null
                ? await RandomAccess.ReadAsync(_handle, buffer, offset).ConfigureAwait(false)
                : await _ring.ReadAsync(_file, offset, buffer).ConfigureAwait(false);
            if (read < 0) throw new IOException($"{Name}: read failed (errno {-read}).");
            if (read == 0) throw new EndOfStreamException($"{Name} ends before byte {offset}.");
            (offset, buffer) = (offset + read, buffer[read..]);
        }
    }

    // One of the buffers is given. Memory that is not aligned, as only metadata's is, goes by way of a buffer that is.
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask DirectAsync(long offset, Memory<byte> read, ReadOnlyMemory<byte> write)
    {
        using var call = Begin();
        var length = read.Length + write.Length;
        IoBuffer? bounce = IsAligned(read.Length > 0 ? read.Span : write.Span) ? null : IoBuffer.Rent(length);
        try
        {
            if (bounce is not null) write.CopyTo(bounce.Memory);
            for (var done = 0; done < length;)
            {
                var moved = write.Length > 0
                    ? await _ring!.WriteAsync(_file, offset + done, bounce is null ? write[done..] : bounce.Memory[done..length]).ConfigureAwait(false)
                    : await _ring!.ReadAsync(_file, offset + done, bounce is null ? read[done..] : bounce.Memory[done..length]).ConfigureAwait(false);
                if (moved < 0) throw new IOException($"{Name}: {(write.Length > 0 ? "write" : "read")} failed (errno {-moved}).");
                if (moved == 0) throw new EndOfStreamException($"{Name} ends before byte {offset + length}.");
                done += moved;
            }

            if (bounce is not null && read.Length > 0) bounce.Memory[..length].CopyTo(read);
        }
        finally
        {
            bounce?.Dispose();
        }
    }

    private static unsafe bool IsAligned(ReadOnlySpan<byte> span)
    {
        fixed (byte* start = span) return (long)start % 512 == 0;
    }

    // A device of 4 KiB blocks refuses requests of 512 bytes, which metadata need; such a one stays with the page cache.
    private static bool CanBeDirect(SafeFileHandle handle)
    {
        if (!NativeFile.TrySetDirect(handle)) return false;
        using var probe = IoBuffer.Rent(512);
        try
        {
            RandomAccess.Read(handle, probe.Span[..512], 512);
            return true;
        }
        catch (IOException)
        {
            NativeFile.ClearDirect(handle);
            return false;
        }
    }
}
