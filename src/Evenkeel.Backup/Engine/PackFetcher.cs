using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Engine;

/// <summary>Reads many blobs pack by pack, neighbours in one request, on all processors: each pack is touched once.</summary>
internal sealed class PackFetcher(ResticRepository repository)
{
    private const int LargestGap = 256 << 10;
    private const int LargestRequest = 8 << 20;

    /// <summary>Calls <paramref name="use"/> once per blob with its content, or with why it cannot be had; concurrently.</summary>
    public Task FetchAsync(
        IEnumerable<BlobPlace> places, Action<PackedBlob, byte[]?, RepositoryException?> use, CancellationToken cancellation)
    {
        var requests = places.GroupBy(p => p.Pack)
            .SelectMany(pack => Group(pack.Key, [.. pack.Select(p => p.Blob).OrderBy(b => b.Offset)]));
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Environment.ProcessorCount + 1, CancellationToken = cancellation };
        return Parallel.ForEachAsync(requests, parallel, async (request, stop) =>
        {
            byte[] bytes;
            try
            {
                bytes = await repository.Backend.LoadAsync(
                    FileKind.Pack, request.Pack.ToString(), request.Blobs[0].Offset, request.Length, stop).ConfigureAwait(false);
            }
            catch (RepositoryException e)
            {
                foreach (var blob in request.Blobs)
                {
                    use(blob, null, e);
                }
                return;
            }
            foreach (var blob in request.Blobs)
            {
                byte[]? content = null;
                RepositoryException? problem = null;
                try
                {
                    content = BlobReader.Open(repository, blob, bytes.AsSpan((int)(blob.Offset - request.Blobs[0].Offset), (int)blob.Length), request.Pack);
                }
                catch (RepositoryException e)
                {
                    problem = e;
                }
                use(blob, content, problem);
            }
        });
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
