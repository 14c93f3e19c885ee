using System.Buffers;
using System.Collections.Concurrent;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>What a verification found.</summary>
/// <param name="Snapshots">Snapshots whose trees were walked.</param>
/// <param name="Packs">Packs that the indexes name.</param>
/// <param name="PacksRead">Packs whose every byte was read and checked.</param>
/// <param name="BytesRead">Bytes of those.</param>
/// <param name="Problems">Everything wrong; files and directories are named where they are known.</param>
public sealed record VerifyResult(int Snapshots, int Packs, int PacksRead, long BytesRead, IReadOnlyList<string> Problems);

/// <summary>
/// Checks a repository: indexes, packs present, every snapshot's trees reachable with all their blobs, and a share of the packs byte by byte.
/// </summary>
public sealed class VerifyEngine(ResticRepository repository)
{
    private readonly ConcurrentQueue<string> _problems = new();
    private readonly ConcurrentBag<SealRoom> _rooms = [];
    private readonly Dictionary<ObjectId, long> _sizes = [];
    private long _bytes;
    private int _packsRead;
    // restic allows packs of 128 MiB.
    private const long LargestPack = 512 << 20;

    /// <summary>Runs; <paramref name="share"/> of the packs, 0 to 1, are read whole, chosen by <paramref name="random"/>.</summary>
    public async Task<VerifyResult> RunAsync(double share, Random random, BackupProgress progress, CancellationToken cancellation)
    {
        foreach (var problem in await repository.LoadIndexAsync(cancellation).ConfigureAwait(false))
        {
            _problems.Enqueue(problem.Message);
        }
        foreach (var file in await repository.Backend.ListAsync(FileKind.Pack, cancellation).ConfigureAwait(false))
        {
            if (ObjectId.TryParse(file.Name.AsSpan(), out var id))
            {
                _sizes[id] = file.Size;
            }
        }
        var stored = _sizes.Keys;
        var named = repository.Index.Packs;
        foreach (var missing in named.Except(stored))
        {
            _problems.Enqueue($"pack {missing} is missing");
        }
        var damagedSnapshots = new List<RepositoryException>();
        var snapshots = await repository.LoadSnapshotsAsync(cancellation, damagedSnapshots).ConfigureAwait(false);
        damagedSnapshots.ForEach(problem => _problems.Enqueue(problem.Message));
        var used = new UsedBlobs(repository);
        foreach (var snapshot in snapshots)
        {
            await used.AddAsync(snapshot, cancellation).ConfigureAwait(false);
        }
        used.Lost.ForEach(lost => _problems.Enqueue($"{lost.Path}: {lost.Reason}"));
        var present = named.Intersect(stored).ToArray();
        random.Shuffle(present);
        var chosen = present[..(int)Math.Ceiling(Math.Clamp(share, 0, 1) * present.Length)];
        var bad = new ConcurrentDictionary<ObjectId, bool>();
        await Parallel.ForEachAsync(chosen, cancellation, (pack, stop) => CheckPackAsync(pack, bad, progress, stop)).ConfigureAwait(false);
        if (!bad.IsEmpty)
        {
            await NameFilesAsync(snapshots, bad, cancellation).ConfigureAwait(false);
        }
        return new VerifyResult(snapshots.Count, named.Count, _packsRead, _bytes, [.. _problems]);
    }

    private async ValueTask CheckPackAsync(ObjectId id, ConcurrentDictionary<ObjectId, bool> bad, BackupProgress progress, CancellationToken cancellation)
    {
        if (_sizes[id] > LargestPack)
        {
            _problems.Enqueue($"pack {id}: it has {_sizes[id]} bytes, more than any program writes");
            return;
        }
        var buffer = ArrayPool<byte>.Shared.Rent((int)_sizes[id]);
        var room = _rooms.TryTake(out var kept) ? kept : new SealRoom();
        try
        {
            var pack = buffer.AsMemory(0, (int)_sizes[id]);
            await repository.Backend.LoadIntoAsync(FileKind.Pack, id.ToString(), 0, pack, cancellation).ConfigureAwait(false);
            Interlocked.Increment(ref _packsRead);
            Interlocked.Add(ref _bytes, pack.Length);
            progress.AddBytes(pack.Length);
            if (ObjectId.Hash(pack.Span) != id)
            {
                _problems.Enqueue($"pack {id}: its content does not match its name");
            }
            foreach (var blob in PackHeader.Decode(pack.Span, repository.Key))
            {
                try
                {
                    BlobReader.Open(repository, blob, pack.Span.Slice((int)blob.Offset, (int)blob.Length), id, room);
                    if (repository.Index.Find(blob.Kind, blob.Id) is null)
                    {
                        _problems.Enqueue($"pack {id}: blob {blob.Id.Brief} is in no index");
                    }
                }
                catch (RepositoryException e)
                {
                    bad.TryAdd(blob.Id, true);
                    _problems.Enqueue(e.Message);
                }
            }
        }
        catch (RepositoryException e)
        {
            _problems.Enqueue($"pack {id}: {e.Message}");
        }
        _rooms.Add(room);
        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>People know files, not blobs.</summary>
    private async Task NameFilesAsync(List<Snapshot> snapshots, ConcurrentDictionary<ObjectId, bool> bad, CancellationToken cancellation)
    {
        var reader = new BlobReader(repository);
        var seen = new HashSet<ObjectId>();
        foreach (var snapshot in snapshots)
        {
            var open = new Stack<(ObjectId Tree, string Path)>([(snapshot.TreeId, $"{snapshot.Id.Brief}:")]);
            while (open.TryPop(out var next))
            {
                if (!seen.Add(next.Tree) || bad.ContainsKey(next.Tree) || repository.Index.Find(BlobKind.Tree, next.Tree) is null)
                {
                    continue;
                }
                foreach (var node in await reader.ReadTreeAsync(next.Tree, cancellation).ConfigureAwait(false))
                {
                    var path = $"{next.Path}/{node.DisplayName}";
                    if (node.Subtree is { } subtree)
                    {
                        if (bad.ContainsKey(subtree))
                        {
                            _problems.Enqueue($"{path}/: the directory's content is lost");
                        }
                        open.Push((subtree, path));
                    }
                    if (node.Content?.Any(bad.ContainsKey) == true)
                    {
                        _problems.Enqueue($"{path}: the file is lost");
                    }
                }
            }
        }
    }
}
