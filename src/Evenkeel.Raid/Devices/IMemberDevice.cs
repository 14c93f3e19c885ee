namespace Evenkeel.Raid.Devices;

/// <summary>
/// What an array member stands on: a file, a block device, an NBD export. Calls may overlap. A completed write may sit in a volatile
/// cache until a flush that began after it completes. An <see cref="IOException"/> means that the call failed, not that the device is gone; calls of a closed
/// device fail with it too, for one that found the device in the array may come after its removal.
/// A device never changes a buffer after its call has returned.
/// </summary>
public interface IMemberDevice : IAsyncDisposable
{
    /// <summary>How people know it: a path or a URI.</summary>
    string Name { get; }

    /// <summary>Size in bytes; constant.</summary>
    long Length { get; }

    /// <summary>Fills the buffer from a byte offset; both are multiples of 512.</summary>
    ValueTask ReadAsync(long offset, Memory<byte> buffer);

    /// <summary>Writes the buffer at a byte offset; both are multiples of 512.</summary>
    ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer);

    /// <summary>Whether <see cref="ZeroAsync"/> gives the range's room back to whatever the device lies on.</summary>
    bool CanDiscard => false;

    /// <summary>Makes a range read as zeros, as if they had been written; both numbers are multiples of 512.</summary>
    ValueTask ZeroAsync(long offset, long length) => Zeros.WriteAsync(this, offset, length);

    /// <summary>Makes every write that completed before this call survive a power cut.</summary>
    ValueTask FlushAsync();

    /// <summary>
    /// Whether writes and flushes return before the device has them (<see cref="BacklogDevice"/>). Nothing is read from such a member,
    /// it counts for no redundancy, and the bitmap keeps naming what it may lack.
    /// </summary>
    bool Lags => false;

    /// <summary>Completes once every write that returned before this call survives a power cut there.</summary>
    /// <exception cref="IOException">It never will: the device failed, or fell behind.</exception>
    Task DurableAsync() => FlushAsync().AsTask();

    /// <summary>Completes when a copier may add to what the device has yet to do; clients need no leave.</summary>
    ValueTask RoomAsync(CancellationToken stop) => default;
}
