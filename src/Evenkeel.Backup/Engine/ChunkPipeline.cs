using System.Buffers;
using System.Threading.Channels;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Engine;

/// <summary>
/// Takes chunks from the one reader and hashes, compresses and stores them on all processors, within a memory bound.
/// </summary>
internal sealed class ChunkPipeline
{
    private const long BytesInFlight = 24 << 20;
    private const int ChunksInFlight = 256;
    private readonly BlobWriter _writer;
    private readonly TreeSink _trees;
    private readonly CancellationTokenSource _cancel;
    private readonly ByteBudget _budget = new(BytesInFlight);
    private readonly Channel<Job> _jobs = Channel.CreateBounded<Job>(
        new BoundedChannelOptions(ChunksInFlight) { SingleWriter = true });
    private readonly Task[] _workers;
    private long _added, _count;

    private readonly record struct Job(FileInProgress? File, int Index, byte[] Buffer, int Length, TreeInProgress? Closed = null);

    public ChunkPipeline(BlobWriter writer, TreeSink trees, CancellationTokenSource cancel)
    {
        _writer = writer;
        _trees = trees;
        _cancel = cancel;
        _workers = [.. Enumerable.Range(0, Math.Max(1, Environment.ProcessorCount)).Select(_ => Task.Run(WorkAsync))];
    }

    public long AddedBytes => Interlocked.Read(ref _added);

    public long Added => Interlocked.Read(ref _count);

    /// <summary>Queues a chunk; the buffer is the pipeline's from now on. Waits while too much is in flight.</summary>
    public async ValueTask PostAsync(FileInProgress file, byte[] buffer, int length, CancellationToken cancellation)
    {
        await _budget.TakeAsync(buffer.Length, cancellation).ConfigureAwait(false);
        await _jobs.Writer.WriteAsync(new Job(file, file.Reserve(), buffer, length), cancellation).ConfigureAwait(false);
    }

    /// <summary>Puts a chunk that is stored already in its place.</summary>
    public ValueTask TakeOverAsync(FileInProgress file, ObjectId id, CancellationToken cancellation) =>
        file.SetAsync(file.Reserve(), id, _trees, cancellation);

    /// <summary>Everything of the directory is reserved: encoding it, if it is complete with that, is the processors' work too.</summary>
    public ValueTask CloseAsync(TreeInProgress tree, CancellationToken cancellation) =>
        _jobs.Writer.WriteAsync(new Job(null, 0, [], 0, tree), cancellation);

    /// <summary>No more chunks; returns when all are stored, or fails as the first worker did.</summary>
    public async Task CompleteAsync()
    {
        _jobs.Writer.TryComplete();
        await Task.WhenAll(_workers).ConfigureAwait(false);
    }

    private async Task WorkAsync()
    {
        try
        {
            await foreach (var job in _jobs.Reader.ReadAllAsync(_cancel.Token).ConfigureAwait(false))
            {
                if (job.File is not { } file)
                {
                    await job.Closed!.CloseAsync(_trees, _cancel.Token).ConfigureAwait(false);
                    continue;
                }
                var content = job.Buffer.AsMemory(0, job.Length);
                var id = ObjectId.Hash(content.Span);
                if (await _writer.WriteAsync(BlobKind.Data, id, content, _cancel.Token).ConfigureAwait(false))
                {
                    Interlocked.Add(ref _added, job.Length);
                    Interlocked.Increment(ref _count);
                }
                ArrayPool<byte>.Shared.Return(job.Buffer);
                _budget.Return(job.Buffer.Length);
                await file.SetAsync(job.Index, id, _trees, _cancel.Token).ConfigureAwait(false);
            }
        }
        catch
        {
            // The reader may wait for room that nobody makes any more.
            await _cancel.CancelAsync().ConfigureAwait(false);
            throw;
        }
    }
}
