using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Backup.Backends;

/// <summary>A repository in a local directory (or one that is mounted): restic's default layout.</summary>
/// <remarks>
/// A file is written under a temporary name in its own folder, flushed, renamed, and the folder is flushed too: after a crash
/// there are whole files and leftovers whose names are no ids, which every reader skips.
/// </remarks>
public sealed class LocalBackend(string directory) : IBackend
{
    internal const int ErrorNoSpace = 28;
    internal const int ErrorQuota = 122;
    private readonly string _root = Path.GetFullPath(directory);

    /// <inheritdoc/>
    public string Location => _root;

    /// <summary>The folder of a kind, as restic names it.</summary>
    internal static string Folder(FileKind kind) => kind switch
    {
        FileKind.Config => "",
        FileKind.Key => "keys",
        FileKind.Pack => "data",
        FileKind.Index => "index",
        FileKind.Snapshot => "snapshots",
        FileKind.Lock => "locks",
        _ => throw new ArgumentOutOfRangeException(nameof(kind)),
    };

    /// <inheritdoc/>
    public Task CreateAsync(CancellationToken cancellation)
    {
        if (File.Exists(PathOf(FileKind.Config, "config")))
        {
            throw new RepositoryException(RepositoryError.Exists, $"{_root} already holds a repository");
        }
        return Guarded(() =>
        {
            foreach (var folder in Enum.GetValues<FileKind>().Select(Folder))
            {
                MakeFolder(Path.Combine(_root, folder));
            }
            for (var i = 0; i < 256; i++)
            {
                MakeFolder(Path.Combine(_root, "data", i.ToString("x2", null)));
            }
            return true;
        });
    }

    /// <inheritdoc/>
    public Task<bool> ExistsAsync(FileKind kind, string name, CancellationToken cancellation) =>
        Guarded(() => File.Exists(PathOf(kind, name)));

    /// <inheritdoc/>
    public Task<byte[]> LoadAsync(FileKind kind, string name, long offset, int length, CancellationToken cancellation) => Guarded(() =>
    {
        using var file = File.OpenHandle(PathOf(kind, name));
        var wanted = length < 0 ? RandomAccess.GetLength(file) - offset : length;
        if (wanted is < 0 or > int.MaxValue / 2)
        {
            throw new RepositoryException(RepositoryError.Damaged, $"{kind} {name} has an impossible length");
        }
        var content = GC.AllocateUninitializedArray<byte>((int)wanted);
        Fill(file, kind, name, offset, content);
        return content;
    });

    /// <inheritdoc/>
    public Task LoadIntoAsync(FileKind kind, string name, long offset, Memory<byte> output, CancellationToken cancellation) => Guarded(() =>
    {
        using var file = File.OpenHandle(PathOf(kind, name));
        Fill(file, kind, name, offset, output.Span);
        return true;
    });

    private static void Fill(SafeFileHandle file, FileKind kind, string name, long offset, Span<byte> output)
    {
        for (var done = 0; done < output.Length;)
        {
            var read = RandomAccess.Read(file, output[done..], offset + done);
            if (read == 0)
            {
                throw new RepositoryException(RepositoryError.Damaged, $"{kind} {name} is too short: {offset + done} bytes, {offset + output.Length} expected");
            }
            done += read;
        }
    }

    /// <inheritdoc/>
    public Task SaveAsync(FileKind kind, string name, ReadOnlyMemory<byte> content, CancellationToken cancellation) => Guarded(() =>
    {
        var target = PathOf(kind, name);
        var folder = Path.GetDirectoryName(target)!;
        if (!Directory.Exists(folder))
        {
            MakeFolder(folder);
        }
        var temporary = $"{target}-tmp-{Guid.NewGuid():N}";
        try
        {
            using (var file = File.OpenHandle(temporary, FileMode.CreateNew, FileAccess.Write))
            {
                File.SetUnixFileMode(file, UnixFileMode.UserRead);
                RandomAccess.Write(file, content.Span, 0);
                RandomAccess.FlushToDisk(file);
            }
            File.Move(temporary, target, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
        FlushFolder(folder);
        return true;
    });

    /// <inheritdoc/>
    public Task DeleteAsync(FileKind kind, string name, CancellationToken cancellation) => Guarded(() =>
    {
        var path = PathOf(kind, name);
        if (File.Exists(path))
        {
            File.Delete(path);
        }
        return true;
    });

    /// <inheritdoc/>
    public Task<IReadOnlyList<BackendFile>> ListAsync(FileKind kind, CancellationToken cancellation) => Guarded<IReadOnlyList<BackendFile>>(() =>
    {
        var folder = new DirectoryInfo(Path.Combine(_root, Folder(kind)));
        var option = kind == FileKind.Pack ? SearchOption.AllDirectories : SearchOption.TopDirectoryOnly;
        return [.. folder.EnumerateFiles("*", option).Select(file => new BackendFile(file.Name, file.Length))];
    });

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    private string PathOf(FileKind kind, string name) => kind switch
    {
        FileKind.Config => Path.Combine(_root, "config"),
        FileKind.Pack => Path.Combine(_root, "data", name[..2], name),
        _ => Path.Combine(_root, Folder(kind), name),
    };

    private static void MakeFolder(string path) =>
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private static void FlushFolder(string folder)
    {
        // .NET opens no directories; a rename is durable only once its directory is flushed.
        using var handle = Files.Native.OpenDirectory(folder);
        if (!handle.IsInvalid)
        {
            _ = Files.Native.Flush(handle);
        }
    }

    private Task<T> Guarded<T>(Func<T> action)
    {
        try
        {
            return Task.FromResult(action());
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            return Task.FromException<T>(new RepositoryException(RepositoryError.NotFound, e.Message, e));
        }
        catch (UnauthorizedAccessException e)
        {
            return Task.FromException<T>(new RepositoryException(RepositoryError.Refused, e.Message, e));
        }
        catch (IOException e)
        {
            var full = (e.HResult & 0xffff) is ErrorNoSpace or ErrorQuota;
            return Task.FromException<T>(new RepositoryException(
                full ? RepositoryError.Full : RepositoryError.Unavailable, $"{_root}: {e.Message}", e));
        }
        catch (RepositoryException e)
        {
            return Task.FromException<T>(e);
        }
    }
}
