using System.Text;

namespace Evenkeel.Backup.Backends;

/// <summary>A repository in a directory of another machine, over the system's ssh; restic's default layout.</summary>
/// <remarks>As in a local directory, a file is written under another name, flushed where the server can, and renamed.</remarks>
public sealed class SftpBackend : IBackend
{
    private const int Block = 32 << 10; // the most that every server takes
    private const int UnderWay = 32;
    private const uint ForReading = 1, ForWriting = 2, Create = 8, Exclusively = 0x20;
    private readonly SftpLocation _location;
    private readonly string _program;
    private readonly SemaphoreSlim _connecting = new(1);
    private SftpSession? _session;

    /// <summary>Connects at the first use. The program is <c>ssh</c>, or what EVENKEEL_BACKUP_SSH names.</summary>
    /// <param name="program">Instead of those.</param>
    public SftpBackend(SftpLocation location, string? program = null)
    {
        _location = location;
        _program = program ?? (Environment.GetEnvironmentVariable("EVENKEEL_BACKUP_SSH") is { Length: > 0 } named ? named : "ssh");
    }

    /// <inheritdoc/>
    public string Location => $"sftp:{_location.Host}:{_location.Path}";

    /// <inheritdoc/>
    public async Task CreateAsync(CancellationToken cancellation)
    {
        if (await ExistsAsync(FileKind.Config, "config", cancellation).ConfigureAwait(false))
        {
            throw new RepositoryException(RepositoryError.Exists, $"{Location} already holds a repository");
        }
        foreach (var folder in Enum.GetValues<FileKind>().Select(LocalBackend.Folder)
            .Concat(Enumerable.Range(0, 256).Select(i => $"data/{i:x2}")))
        {
            await MakeFolderAsync($"{_location.Path}/{folder}".TrimEnd('/'), cancellation).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task<bool> ExistsAsync(FileKind kind, string name, CancellationToken cancellation) =>
        await StatAsync(PathOf(kind, name), cancellation).ConfigureAwait(false) is not null;

    /// <inheritdoc/>
    public async Task<byte[]> LoadAsync(FileKind kind, string name, long offset, int length, CancellationToken cancellation)
    {
        var session = await SessionAsync(cancellation).ConfigureAwait(false);
        var path = PathOf(kind, name);
        var handle = await OpenAsync(session, path, ForReading, cancellation).ConfigureAwait(false);
        try
        {
            if (length < 0)
            {
                var size = (await StatAsync(path, cancellation).ConfigureAwait(false))?.Size ?? 0;
                length = checked((int)Math.Max(0, size - offset));
            }
            var content = new byte[length];
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = UnderWay, CancellationToken = cancellation };
            await Parallel.ForEachAsync(Enumerable.Range(0, (length + Block - 1) / Block), parallel, async (block, stop) =>
            {
                var end = Math.Min(length, (block + 1) * Block);
                for (var at = block * Block; at < end;)
                {
                    var answer = await session.AskAsync(SftpType.Read,
                        w => w.Add(handle).Add((ulong)(offset + at)).Add((uint)(end - at)), $"reading {path}", stop).ConfigureAwait(false);
                    if (SftpStatus.IsEnd(answer))
                    {
                        throw new RepositoryException(RepositoryError.Damaged, $"{kind} {name} is too short: {offset + length} bytes expected");
                    }
                    var part = answer.Reader().Bytes();
                    part.AsSpan(0, Math.Min(part.Length, end - at)).CopyTo(content.AsSpan(at));
                    at += part.Length;
                }
            }).ConfigureAwait(false);
            return content;
        }
        finally
        {
            await session.AskAsync(SftpType.Close, w => w.Add(handle), $"closing {path}", CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <inheritdoc/>
    public async Task SaveAsync(FileKind kind, string name, ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        var session = await SessionAsync(cancellation).ConfigureAwait(false);
        var target = PathOf(kind, name);
        var temporary = $"{target}-tmp-{Guid.NewGuid():N}";
        try
        {
            await WriteAsync(session, temporary, content, cancellation).ConfigureAwait(false);
            if (session.Has("posix-rename@openssh.com"))
            {
                await session.AskAsync(SftpType.Extended, w => w.Add("posix-rename@openssh.com").Add(temporary).Add(target), $"storing {target}", cancellation).ConfigureAwait(false);
                return;
            }
            // SFTP 3's own rename replaces nothing; one that is there has the same content.
            await DeleteAsync(kind, name, cancellation).ConfigureAwait(false);
            await session.AskAsync(SftpType.Rename, w => w.Add(temporary).Add(target), $"storing {target}", cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e) when (e.Error != RepositoryError.Unavailable)
        {
            await RemoveAsync(session, temporary).ConfigureAwait(false);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task DeleteAsync(FileKind kind, string name, CancellationToken cancellation)
    {
        var session = await SessionAsync(cancellation).ConfigureAwait(false);
        try
        {
            await session.AskAsync(SftpType.Remove, w => w.Add(PathOf(kind, name)), $"removing {kind} {name}", cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
        {
            // gone already
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<BackendFile>> ListAsync(FileKind kind, CancellationToken cancellation)
    {
        var folder = $"{_location.Path}/{LocalBackend.Folder(kind)}";
        var entries = await ListAsync(folder, cancellation).ConfigureAwait(false);
        var files = entries.Where(e => !e.Attributes.IsDirectory).Select(e => new BackendFile(e.Name, e.Attributes.Size)).ToList();
        if (kind == FileKind.Pack)
        {
            foreach (var below in entries.Where(e => e.Attributes.IsDirectory && e.Name is not ("." or "..")))
            {
                files.AddRange((await ListAsync($"{folder}/{below.Name}", cancellation).ConfigureAwait(false))
                    .Where(e => !e.Attributes.IsDirectory).Select(e => new BackendFile(e.Name, e.Attributes.Size)));
            }
        }
        return files;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_session is { } session)
        {
            await session.DisposeAsync().ConfigureAwait(false);
        }
        _connecting.Dispose();
    }

    private string PathOf(FileKind kind, string name) => kind switch
    {
        FileKind.Config => $"{_location.Path}/config",
        FileKind.Pack => $"{_location.Path}/data/{name[..2]}/{name}",
        _ => $"{_location.Path}/{LocalBackend.Folder(kind)}/{name}",
    };

    private async Task<SftpSession> SessionAsync(CancellationToken cancellation)
    {
        await _connecting.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            if (_session is { IsBroken: true } broken)
            {
                // A lost connection is made anew for the next try.
                _session = null;
                await broken.DisposeAsync().ConfigureAwait(false);
            }
            // No question may be asked on a terminal: nobody may be there to answer.
            string[] port = _location.Port is { } number ? ["-p", number.ToString(System.Globalization.CultureInfo.InvariantCulture)] : [];
            return _session ??= await SftpSession.StartAsync(
                _program, ["-o", "BatchMode=yes", "-o", "ServerAliveInterval=60", .. port, _location.Host, "-s", "sftp"], cancellation).ConfigureAwait(false);
        }
        finally
        {
            _connecting.Release();
        }
    }

    private static async Task<byte[]> OpenAsync(SftpSession session, string path, uint how, CancellationToken cancellation)
    {
        var answer = await session.AskAsync(SftpType.Open, w => w.Add(path).Add(how).Add(0u), $"opening {path}", cancellation).ConfigureAwait(false);
        return answer.Reader().Bytes();
    }

    private static async Task WriteAsync(SftpSession session, string path, ReadOnlyMemory<byte> content, CancellationToken cancellation)
    {
        var handle = await OpenAsync(session, path, ForWriting | Create | Exclusively, cancellation).ConfigureAwait(false);
        try
        {
            var parallel = new ParallelOptions { MaxDegreeOfParallelism = UnderWay, CancellationToken = cancellation };
            await Parallel.ForEachAsync(Enumerable.Range(0, (content.Length + Block - 1) / Block), parallel, async (block, stop) =>
                await session.AskAsync(SftpType.Write, w => w.Add(handle).Add((ulong)block * Block)
                    .Add(content.Span[(block * Block)..Math.Min(content.Length, (block + 1) * Block)]), $"writing {path}", stop).ConfigureAwait(false)).ConfigureAwait(false);
            if (session.Has("fsync@openssh.com"))
            {
                await session.AskAsync(SftpType.Extended, w => w.Add("fsync@openssh.com").Add(handle), $"flushing {path}", cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            await session.AskAsync(SftpType.Close, w => w.Add(handle), $"closing {path}", CancellationToken.None).ConfigureAwait(false);
        }
    }

    private async Task<SftpAttributes?> StatAsync(string path, CancellationToken cancellation)
    {
        var session = await SessionAsync(cancellation).ConfigureAwait(false);
        try
        {
            return (await session.AskAsync(SftpType.Stat, w => w.Add(path), $"looking at {path}", cancellation).ConfigureAwait(false)).Reader().Attributes();
        }
        catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
        {
            return null;
        }
    }

    private async Task<List<(string Name, SftpAttributes Attributes)>> ListAsync(string folder, CancellationToken cancellation)
    {
        var session = await SessionAsync(cancellation).ConfigureAwait(false);
        var entries = new List<(string, SftpAttributes)>();
        var handle = (await session.AskAsync(SftpType.OpenDirectory, w => w.Add(folder), $"listing {folder}", cancellation).ConfigureAwait(false)).Reader().Bytes();
        while (true)
        {
            var answer = await session.AskAsync(SftpType.ReadDirectory, w => w.Add(handle), $"listing {folder}", cancellation).ConfigureAwait(false);
            if (answer.Type == SftpType.Status)
            {
                break;
            }
            var reader = answer.Reader();
            for (var count = reader.UInt32(); count > 0; count--)
            {
                var name = Encoding.UTF8.GetString(reader.Bytes());
                reader.Bytes(); // the line that ls would show
                entries.Add((name, reader.Attributes()));
            }
        }
        await session.AskAsync(SftpType.Close, w => w.Add(handle), $"closing {folder}", cancellation).ConfigureAwait(false);
        return entries;
    }

    private async Task MakeFolderAsync(string path, CancellationToken cancellation)
    {
        if (path.Length == 0 || await StatAsync(path, cancellation).ConfigureAwait(false) is not null)
        {
            return;
        }
        var above = path.LastIndexOf('/');
        if (above > 0)
        {
            await MakeFolderAsync(path[..above], cancellation).ConfigureAwait(false);
        }
        var session = await SessionAsync(cancellation).ConfigureAwait(false);
        const uint HasMode = 4, OwnerOnly = 0x1c0;
        await session.AskAsync(SftpType.MakeDirectory, w => w.Add(path).Add(HasMode).Add(OwnerOnly), $"making {path}", cancellation).ConfigureAwait(false);
    }

    private static async Task RemoveAsync(SftpSession session, string path)
    {
        try
        {
            await session.AskAsync(SftpType.Remove, w => w.Add(path), $"removing {path}", CancellationToken.None).ConfigureAwait(false);
        }
        catch (RepositoryException)
        {
            // A leftover has no id as its name; every reader skips it.
        }
    }
}
