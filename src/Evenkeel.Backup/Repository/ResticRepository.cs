using System.Globalization;
using System.Security.Cryptography;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Chunking;
using Evenkeel.Backup.Crypto;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Repository;

/// <summary>
/// An open repository in restic's format, version 1 or 2. Safe for concurrent use.
/// </summary>
/// <remarks>This part opens it and reads and writes whole files; blobs are read through <see cref="BlobReader"/> and written
/// through <see cref="BlobWriter"/>.</remarks>
public sealed class ResticRepository : IAsyncDisposable
{
    private const int MaximumUnpackedSize = 1 << 30;
    private const byte CompressedMarker = 2;
    private const int ReadsAtOnce = 8;
    private readonly MasterKey _key;

    private ResticRepository(IBackend backend, MasterKey key, RepositoryConfig config, ObjectId keyId, TimeProvider time)
    {
        Backend = backend;
        _key = key;
        Config = config;
        KeyId = keyId;
        Time = time;
        Codec = Zstd.Create();
    }

    /// <summary>Where the files are.</summary>
    public IBackend Backend { get; }

    /// <summary>Version, id and polynomial.</summary>
    public RepositoryConfig Config { get; }

    /// <summary>The key file that the password opened.</summary>
    public ObjectId KeyId { get; }

    internal MasterKey Key => _key;

    internal Zstd Codec { get; }

    internal BlobIndex Index { get; private set; } = new();

    internal TimeProvider Time { get; }

    internal bool Compresses => Config.Version >= 2;

    internal ulong Polynomial => ulong.TryParse(Config.ChunkerPolynomial, NumberStyles.AllowHexSpecifier, null, out var p)
        ? p : throw new RepositoryException(RepositoryError.Damaged, "the config's chunker polynomial is no number");

    /// <summary>Makes an empty repository and opens it.</summary>
    public static async Task<ResticRepository> CreateAsync(
        IBackend backend, string password, TimeProvider time, int version = 2, CancellationToken cancellation = default)
    {
        if (await backend.ExistsAsync(FileKind.Config, "config", cancellation).ConfigureAwait(false))
        {
            throw new RepositoryException(RepositoryError.Exists, $"{backend.Location} already holds a repository");
        }
        await backend.CreateAsync(cancellation).ConfigureAwait(false);
        if ((await backend.ListAsync(FileKind.Key, cancellation).ConfigureAwait(false)).Count > 0)
        {
            throw new RepositoryException(RepositoryError.Exists, $"{backend.Location} holds keys of a repository; it will not be overwritten");
        }
        var key = MasterKey.Generate();
        var config = new RepositoryConfig(version, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(ObjectId.Size)),
            Chunking.Polynomial.Random().ToString("x", CultureInfo.InvariantCulture));
        var keyId = await SaveKeyAsync(backend, key, password, time, cancellation).ConfigureAwait(false);
        await backend.SaveAsync(FileKind.Config, "config", key.Seal(config.ToBytes()), cancellation).ConfigureAwait(false);
        return new ResticRepository(backend, key, config, keyId, time);
    }

    /// <summary>Opens a repository; fails with <see cref="RepositoryError.Missing"/>, <see cref="RepositoryError.WrongPassword"/>,
    /// <see cref="RepositoryError.UnknownFormat"/> or <see cref="RepositoryError.Damaged"/>.</summary>
    public static async Task<ResticRepository> OpenAsync(
        IBackend backend, string password, TimeProvider time, CancellationToken cancellation = default)
    {
        if (!await backend.ExistsAsync(FileKind.Config, "config", cancellation).ConfigureAwait(false))
        {
            throw new RepositoryException(RepositoryError.Missing, $"there is no repository at {backend.Location}");
        }
        var damagedKeys = 0;
        foreach (var file in await backend.ListAsync(FileKind.Key, cancellation).ConfigureAwait(false))
        {
            if (!ObjectId.TryParse(file.Name.AsSpan(), out var id))
            {
                continue;
            }
            var bytes = await backend.LoadAsync(FileKind.Key, file.Name, 0, -1, cancellation).ConfigureAwait(false);
            MasterKey? key;
            try
            {
                key = KeyFile.Parse(bytes).TryOpen(password);
            }
            catch (RepositoryException e) when (e.Error == RepositoryError.Damaged)
            {
                damagedKeys++;
                continue;
            }
            if (key is not null)
            {
                var sealedConfig = await backend.LoadAsync(FileKind.Config, "config", 0, -1, cancellation).ConfigureAwait(false);
                var json = key.TryOpen(sealedConfig)
                    ?? throw new RepositoryException(RepositoryError.Damaged, "the config does not authenticate under this repository's key");
                return new ResticRepository(backend, key, RepositoryConfig.Parse(json), id, time);
            }
        }
        throw new RepositoryException(RepositoryError.WrongPassword, damagedKeys == 0
            ? "wrong password: it opens none of the repository's keys"
            : $"the password opens no key, and {damagedKeys} key file(s) are damaged");
    }

    /// <summary>Adds a key file for a further password; its id.</summary>
    public Task<ObjectId> AddKeyAsync(string password, CancellationToken cancellation) =>
        SaveKeyAsync(Backend, _key, password, Time, cancellation);

    /// <summary>The key files that can be read.</summary>
    public async Task<IReadOnlyList<(ObjectId Id, KeyFile File)>> LoadKeysAsync(CancellationToken cancellation)
    {
        var keys = new List<(ObjectId, KeyFile)>();
        foreach (var id in await ListAsync(FileKind.Key, cancellation).ConfigureAwait(false))
        {
            keys.Add((id, KeyFile.Parse(await Backend.LoadAsync(FileKind.Key, id.ToString(), 0, -1, cancellation).ConfigureAwait(false))));
        }
        return keys;
    }

    private static async Task<ObjectId> SaveKeyAsync(
        IBackend backend, MasterKey key, string password, TimeProvider time, CancellationToken cancellation)
    {
        var bytes = KeyFile.Create(key, password, Timestamp.From(time.GetLocalNow()).ToString(), Environment.UserName, Environment.MachineName).ToBytes();
        var id = ObjectId.Hash(bytes);
        await backend.SaveAsync(FileKind.Key, id.ToString(), bytes, cancellation).ConfigureAwait(false);
        return id;
    }

    /// <summary>The ids of all files of a kind; names that are no ids (leftovers of a crash) are left out.</summary>
    public async Task<List<ObjectId>> ListAsync(FileKind kind, CancellationToken cancellation)
    {
        var ids = new List<ObjectId>();
        foreach (var file in await Backend.ListAsync(kind, cancellation).ConfigureAwait(false))
        {
            if (ObjectId.TryParse(file.Name.AsSpan(), out var id))
            {
                ids.Add(id);
            }
        }
        return ids;
    }

    /// <summary>The JSON of an index, snapshot or lock file, after its hash, its tag and its compression were checked.</summary>
    internal async Task<byte[]> LoadUnpackedAsync(FileKind kind, ObjectId id, CancellationToken cancellation)
    {
        var stored = await Backend.LoadAsync(kind, id.ToString(), 0, -1, cancellation).ConfigureAwait(false);
        if (ObjectId.Hash(stored) != id)
        {
            throw new RepositoryException(RepositoryError.Damaged, $"{kind} {id.Brief} is damaged: its content does not match its name");
        }
        var content = _key.TryOpen(stored)
            ?? throw new RepositoryException(RepositoryError.Damaged, $"{kind} {id.Brief} is damaged or belongs to another repository");
        return content switch
        {
            [] => content,
            [(byte)'{' or (byte)'[', ..] => content,
            [CompressedMarker, ..] => Codec.Decompress(content, 1, MaximumUnpackedSize),
            _ => throw new RepositoryException(RepositoryError.UnknownFormat, $"{kind} {id.Brief} begins with an unknown marker {content[0]}"),
        };
    }

    /// <summary>Stores JSON as an index, snapshot or lock file.</summary>
    internal async Task<ObjectId> SaveUnpackedAsync(FileKind kind, byte[] json, CancellationToken cancellation)
    {
        var content = json;
        if (Compresses)
        {
            var buffer = new byte[1 + Zstd.Bound(json.Length)];
            buffer[0] = CompressedMarker;
            content = buffer[..(1 + Codec.Compress(json, buffer.AsSpan(1)))];
        }
        var stored = _key.Seal(content);
        var id = ObjectId.Hash(stored);
        await Backend.SaveAsync(kind, id.ToString(), stored, cancellation).ConfigureAwait(false);
        return id;
    }

    /// <summary>Reads all index files into memory; the problems of those that could not be read.</summary>
    public async Task<IReadOnlyList<RepositoryException>> LoadIndexAsync(CancellationToken cancellation)
    {
        var problems = new List<RepositoryException>();
        var index = new BlobIndex();
        foreach (var id in await ListAsync(FileKind.Index, cancellation).ConfigureAwait(false))
        {
            try
            {
                foreach (var pack in IndexFile.Decode(await LoadUnpackedAsync(FileKind.Index, id, cancellation).ConfigureAwait(false)))
                {
                    index.Add(pack.Id, pack.Blobs);
                }
            }
            catch (RepositoryException e) when (e.Error is RepositoryError.Damaged or RepositoryError.UnknownFormat)
            {
                problems.Add(e);
            }
        }
        Index = index;
        return problems;
    }

    /// <summary>All snapshots, oldest first. Damaged ones fail the call unless <paramref name="problems"/> takes them.</summary>
    public async Task<List<Snapshot>> LoadSnapshotsAsync(CancellationToken cancellation, List<RepositoryException>? problems = null)
    {
        var found = new System.Collections.Concurrent.ConcurrentBag<Snapshot>();
        var damaged = new System.Collections.Concurrent.ConcurrentBag<RepositoryException>();
        await Parallel.ForEachAsync(await Backend.ListAsync(FileKind.Snapshot, cancellation).ConfigureAwait(false),
            new ParallelOptions { MaxDegreeOfParallelism = ReadsAtOnce, CancellationToken = cancellation }, async (file, stop) =>
            {
                try
                {
                    if (ObjectId.TryParse(file.Name.AsSpan(), out var id))
                    {
                        found.Add(Snapshot.Parse(await LoadUnpackedAsync(FileKind.Snapshot, id, stop).ConfigureAwait(false), id) with { Arrived = file.Arrived });
                    }
                }
                catch (RepositoryException e) when (problems is not null && e.Error is RepositoryError.Damaged or RepositoryError.UnknownFormat)
                {
                    damaged.Add(e);
                }
                catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
                {
                    // Forgotten by somebody else since it was listed.
                }
            }).ConfigureAwait(false);
        problems?.AddRange(damaged);
        return [.. found.OrderBy(s => s.When).ThenBy(s => s.Id)];
    }

    /// <summary>Readable snapshots whose ids are not among those seen; adds theirs.</summary>
    internal async Task<List<Snapshot>> LoadNewSnapshotsAsync(HashSet<ObjectId> seen, CancellationToken cancellation)
    {
        var snapshots = new List<Snapshot>();
        foreach (var id in (await ListAsync(FileKind.Snapshot, cancellation).ConfigureAwait(false)).Where(seen.Add))
        {
            try
            {
                snapshots.Add(Snapshot.Parse(await LoadUnpackedAsync(FileKind.Snapshot, id, cancellation).ConfigureAwait(false), id));
            }
            catch (RepositoryException e) when (e.Error is RepositoryError.Damaged or RepositoryError.UnknownFormat or RepositoryError.NotFound)
            {
                // Not what is looked for.
            }
        }
        return snapshots;
    }

    /// <summary>Stores a snapshot, whose tree must be stored and indexed already.</summary>
    public async Task<Snapshot> SaveSnapshotAsync(Snapshot snapshot, CancellationToken cancellation) =>
        snapshot with { Id = await SaveUnpackedAsync(FileKind.Snapshot, snapshot.ToBytes(), cancellation).ConfigureAwait(false) };

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _key.Dispose();
        Codec.Dispose();
        await Backend.DisposeAsync().ConfigureAwait(false);
    }
}
