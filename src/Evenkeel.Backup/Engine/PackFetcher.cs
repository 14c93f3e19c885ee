using System.Buffers;
using System.Collections.Concurrent;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Engine;

/// <summary>Reads many blobs pack by pack, neighbours in one request, on all processors: each pack is touched once.</summary>
internal sealed class PackFetcher(ResticRepository repository)
{
    private const int LargestGap = 256 << 10;
    private const int LargestRequest = 8 << 20;

    /// <summary>A blob's content, or why it cannot be had; the content is valid during the call alone.</summary>
    public delegate void Use(PackedBlob blob, ReadOnlySpan<byte> content, RepositoryException? problem);

    /// <summary>Calls <paramref name="use"/> once per blob, concurrently.</summary>
    public Task FetchAsync(IEnumerable<BlobPlace> places, Use use, CancellationToken cancellation)
    {
        var requests = places.GroupBy(p => p.Pack)
            .SelectMany(pack => Group(pack.Key, [.. pack.Select(p => p.Blob).OrderBy(b => b.Offset)]));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount + 1, CancellationToken = cancellation };
        var rooms = new ConcurrentBag<SealRoom>();
        return Parallel.ForEachAsync(requests, parallel, async (request, stop) =>
        {
            var bytes = ArrayPool<byte>.Shared.Rent(request.Length);
            var room = rooms.TryTake(out var kept) ? kept : new SealRoom();
            try
            {
                await repository.Backend.LoadIntoAsync(FileKind.Pack, request.Pack.ToString(), request.Blobs[0].Offset, bytes.AsMemory(0, request.Length), stop).ConfigureAwait(false);
                foreach (var blob in request.Blobs)
                {
                    Open(request, blob, bytes, room, use);
                }
            }
            catch (RepositoryException e)
            {
                foreach (var blob in request.Blobs)
                {
                    use(blob, [], e);
                }
            }
            rooms.Add(room);
            ArrayPool<byte>.Shared.Return(bytes);
        });
    }

    private void Open(Request request, PackedBlob blob, byte[] bytes, SealRoom room, Use use)
    {
        ReadOnlySpan<byte> content;
        try
        {
            content = BlobReader.Open(repository, blob, bytes.AsSpan((int)(blob.Offset - request.Blobs[0].Offset), (int)blob.Length), request.Pack, room);
        }
        catch (RepositoryException e)
        {
            use(blob, [], e);
            return;
        }
        use(blob, content, null);
    }

    private sealed record Request(ObjectId Pack, List<PackedBlob> Blobs, int Length);

    private static IEnumerable<Request> Group(ObjectId pack, List<PackedBlob> blobs)
    {
        for (var i = 0; i < blobs.Count;)
        {
            var group = new List<PackedBlob> { blobs[i] };
            long start = blobs[i].Offset, end = start + blobs[i].Length;
            while (++i < blobs.Count && blobs[i].Offset - end <= LargestGap && blobs[i].Offset + blobs[i].Length - start <= LargestRequest)
            {
                group.Add(blobs[i]);
                end = blobs[i].Offset + blobs[i].Length;
            }
            yield return new Request(pack, group, (int)(end - start));
        }
    }
}
