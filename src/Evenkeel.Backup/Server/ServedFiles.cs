using System.Buffers;
using System.Security.Cryptography;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Server;

/// <summary>How storing an upload ended.</summary>
internal enum Stored
{
    /// <summary>It is there, durable.</summary>
    Done,

    /// <summary>There is one already, which must not be replaced.</summary>
    Exists,

    /// <summary>Its content has another hash than its name.</summary>
    WrongHash,

    /// <summary>No room.</summary>
    Full,
}

/// <summary>The files of served repositories on disk.</summary>
/// <remarks>Uploads are hashed while they arrive and stored only if the name is their hash, so a broken transfer never becomes a file and
/// an existing file can only be replaced by what it should have been: that mends damage, and is safe in an append-only repository.
/// A file's modification time is the server's own clock at its arrival.</remarks>
internal sealed class ServedFiles(string directory, StorageQuota quota, TimeProvider time)
{
    private const int ChunkSize = 128 << 10;

    public string FolderOf(RepositoryPath path) => Path.Combine([directory, .. path.Repository]);

    public string PathOf(RepositoryPath path) => path.Kind switch
    {
        null => FolderOf(path),
        FileKind.Config => Path.Combine(FolderOf(path), "config"),
        FileKind.Pack => Path.Combine(FolderOf(path), "data", path.Name![..2], path.Name),
        { } kind => Path.Combine(FolderOf(path), LocalBackend.Folder(kind), path.Name!),
    };

    public void Create(RepositoryPath path)
    {
        foreach (var kind in Enum.GetValues<FileKind>())
        {
            MakeFolder(Path.Combine(FolderOf(path), LocalBackend.Folder(kind)));
        }
    }

    public IEnumerable<RestEntry> List(RepositoryPath path)
    {
        var folder = new DirectoryInfo(Path.Combine(FolderOf(path), LocalBackend.Folder(path.Kind!.Value)));
        return !folder.Exists ? [] : folder
            .EnumerateFiles("*", path.Kind == FileKind.Pack ? SearchOption.AllDirectories : SearchOption.TopDirectoryOnly)
            .Where(file => ObjectId.TryParse(file.Name.AsSpan(), out _))
            .Select(file => new RestEntry(file.Name, file.Length, new DateTimeOffset(file.LastWriteTimeUtc)));
    }

    public async Task<Stored> SaveAsync(RepositoryPath path, string owner, Stream content, CancellationToken cancellation)
    {
        var target = PathOf(path);
        if (path.Kind == FileKind.Config && File.Exists(target))
        {
            return Stored.Exists;
        }
        MakeFolder(Path.GetDirectoryName(target)!);
        var temporary = $"{target}-tmp-{Guid.NewGuid():N}";
        long taken = 0;
        try
        {
            var hash = await ReceiveAsync(content, temporary, Take, cancellation).ConfigureAwait(false);
            if (hash is null)
            {
                return GiveBack(Stored.Full);
            }
            if (path.Kind != FileKind.Config && hash != path.Name)
            {
                return GiveBack(Stored.WrongHash);
            }
            if (File.Exists(target))
            {
                if (await HashAsync(target, cancellation).ConfigureAwait(false) == path.Name)
                {
                    return GiveBack(Stored.Done);
                }
                quota.GiveBack(owner, new FileInfo(target).Length);
            }
            File.SetLastWriteTimeUtc(temporary, time.GetUtcNow().UtcDateTime);
            File.Move(temporary, target, overwrite: path.Kind != FileKind.Config);
            Flush(Path.GetDirectoryName(target)!);
            taken = 0;
            return Stored.Done;
        }
        finally
        {
            GiveBack(Stored.Full);
            File.Delete(temporary);
        }

        bool Take(long bytes)
        {
            var room = quota.TryTake(owner, bytes);
            taken += room ? bytes : 0;
            return room;
        }

        Stored GiveBack(Stored result)
        {
            quota.GiveBack(owner, taken);
            taken = 0;
            return result;
        }
    }

    public bool Delete(RepositoryPath path, string owner)
    {
        var file = new FileInfo(PathOf(path));
        if (!file.Exists)
        {
            return false;
        }
        var length = file.Length;
        file.Delete();
        quota.GiveBack(owner, length);
        return true;
    }

    private static async Task<string?> ReceiveAsync(Stream content, string file, Func<long, bool> mayTake, CancellationToken cancellation)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var buffer = ArrayPool<byte>.Shared.Rent(ChunkSize);
        try
        {
            using var handle = File.OpenHandle(file, FileMode.CreateNew, FileAccess.Write, FileShare.None, FileOptions.Asynchronous);
            long offset = 0;
            int read;
            while ((read = await content.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0)
            {
                if (!mayTake(read))
                {
                    return null;
                }
                hash.AppendData(buffer.AsSpan(0, read));
                await RandomAccess.WriteAsync(handle, buffer.AsMemory(0, read), offset, cancellation).ConfigureAwait(false);
                offset += read;
            }
            RandomAccess.FlushToDisk(handle);
            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static async Task<string> HashAsync(string file, CancellationToken cancellation)
    {
        await using var stream = File.OpenRead(file);
        return Convert.ToHexStringLower(await SHA256.HashDataAsync(stream, cancellation).ConfigureAwait(false));
    }

    private static void MakeFolder(string path) =>
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private static void Flush(string folder)
    {
        using var handle = Files.Native.OpenDirectory(folder);
        if (!handle.IsInvalid)
        {
            _ = Files.Native.Flush(handle);
        }
    }
}
