using System.Buffers;
using Evenkeel.Backup.Chunking;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Backup.Engine;

/// <summary>Reads files and cuts them into chunks. One file at a time.</summary>
internal sealed class FileReader(RabinCutter cutter, ChunkPipeline pipeline)
{
    /// <summary>The block of databases and disk images; see <see cref="BackupRequest.FixedBlocks"/>.</summary>
    public const int FixedBlock = 64 << 10;
    private byte[]? _window;

    /// <summary>Queues all chunks of a file; its length as read.</summary>
    public async ValueTask<long> ReadAsync(
        SafeFileHandle handle, long expectedSize, bool fixedBlocks, FileInProgress file, BackupProgress progress, CancellationToken cancellation)
    {
        // The common small file: one read, one chunk, no copy. One byte more than expected shows whether it grew.
        if (!fixedBlocks && expectedSize < RabinCutter.MinimumSize)
        {
            var buffer = ArrayPool<byte>.Shared.Rent((int)expectedSize + 1);
            var length = Fill(handle, buffer.AsSpan(0, (int)expectedSize + 1), 0);
            if (length <= expectedSize)
            {
                progress.AddBytes(length);
                if (length > 0)
                {
                    await pipeline.PostAsync(file, buffer, length, cancellation).ConfigureAwait(false);
                }
                else
                {
                    ArrayPool<byte>.Shared.Return(buffer);
                }
                return length;
            }
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return await ReadLargeAsync(handle, fixedBlocks, file, progress, cancellation).ConfigureAwait(false);
    }

    /// <summary>Queues the chunks of a file of fixed blocks, and reads only those that are not taken over; the length that the backup then has.</summary>
    /// <param name="size">No more than this is read: what is written behind it meanwhile, its writer can repeat.</param>
    public async ValueTask<long> ReadChangedAsync(
        SafeFileHandle handle, long size, TakenOverChunks takenOver, FileInProgress file, BackupProgress progress, CancellationToken cancellation)
    {
        long position = 0;
        for (var index = 0; position < size; index++)
        {
            var length = (int)Math.Min(FixedBlock, size - position);
            if (takenOver.At(index) is { } id)
            {
                progress.AddBytesTakenOver(length);
                await pipeline.TakeOverAsync(file, id, cancellation).ConfigureAwait(false);
                position += length;
                continue;
            }
            var buffer = ArrayPool<byte>.Shared.Rent(length);
            var read = Fill(handle, buffer.AsSpan(0, length), position);
            progress.AddBytes(read);
            position += read;
            if (read == 0)
            {
                ArrayPool<byte>.Shared.Return(buffer);
                break;
            }
            await pipeline.PostAsync(file, buffer, read, cancellation).ConfigureAwait(false);
            if (read < length)
            {
                // It was cut short meanwhile.
                break;
            }
        }
        return position;
    }

    private async ValueTask<long> ReadLargeAsync(
        SafeFileHandle handle, bool fixedBlocks, FileInProgress file, BackupProgress progress, CancellationToken cancellation)
    {
        var window = _window ??= GC.AllocateUninitializedArray<byte>(2 * RabinCutter.MaximumSize);
        var smallestCertain = fixedBlocks ? FixedBlock : RabinCutter.MaximumSize;
        int start = 0, end = 0;
        long position = 0;
        while (true)
        {
            window.AsSpan(start, end - start).CopyTo(window);
            (start, end) = (0, end - start);
            var read = Fill(handle, window.AsSpan(end), position);
            var atEnd = end + read < window.Length;
            position += read;
            end += read;
            progress.AddBytes(read);
            while (end - start >= smallestCertain || (atEnd && end > start))
            {
                var length = fixedBlocks ? Math.Min(FixedBlock, end - start) : cutter.FindCut(window.AsSpan(start, end - start));
                var buffer = ArrayPool<byte>.Shared.Rent(length);
                window.AsSpan(start, length).CopyTo(buffer);
                await pipeline.PostAsync(file, buffer, length, cancellation).ConfigureAwait(false);
                start += length;
            }
            if (atEnd)
            {
                return position;
            }
        }
    }

    private static int Fill(SafeFileHandle handle, Span<byte> buffer, long position)
    {
        var done = 0;
        while (done < buffer.Length)
        {
            var read = RandomAccess.Read(handle, buffer[done..], position + done);
            if (read == 0)
            {
                break;
            }
            done += read;
        }
        return done;
    }
}
