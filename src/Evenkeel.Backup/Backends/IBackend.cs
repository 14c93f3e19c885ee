namespace Evenkeel.Backup.Backends;

/// <summary>What kinds of file a repository has; each has its own folder, except the single <see cref="Config"/>.</summary>
public enum FileKind
{
    /// <summary>The repository's id, version and polynomial; one file, no folder.</summary>
    Config,

    /// <summary>The master key under one password.</summary>
    Key,

    /// <summary>Blobs.</summary>
    Pack,

    /// <summary>Which blob is where.</summary>
    Index,

    /// <summary>One backup.</summary>
    Snapshot,

    /// <summary>Who is at work.</summary>
    Lock,
}

/// <summary>A file as a listing shows it.</summary>
/// <param name="Name">64 hexadecimal digits, or anything that a stranger left there.</param>
/// <param name="Size">Bytes.</param>
/// <param name="Arrived">When the place itself says that it received the file; null where nobody but the writer could tell.</param>
public readonly record struct BackendFile(string Name, long Size, DateTimeOffset? Arrived = null);

/// <summary>
/// Where a repository's files live. Safe for concurrent use.
/// </summary>
/// <remarks>
/// Contract: <see cref="SaveAsync"/> is atomic and durable — a reader sees the whole file or none, and once it returned the file
/// survives a crash; saving the same name again is harmless. A listing shows every file saved before it began.
/// Failures are <see cref="RepositoryException"/>s; cancellation leaves no visible partial file.
/// </remarks>
public interface IBackend : IAsyncDisposable
{
    /// <summary>How the place is named to users (without credentials).</summary>
    string Location { get; }

    /// <summary>Prepares an empty place; fails with <see cref="RepositoryError.Exists"/> when it holds a repository.</summary>
    Task CreateAsync(CancellationToken cancellation);

    /// <summary>Whether the file is there.</summary>
    Task<bool> ExistsAsync(FileKind kind, string name, CancellationToken cancellation);

    /// <summary>A whole file, or <paramref name="length"/> bytes of it from <paramref name="offset"/> (0 and −1 for all).
    /// Fails with <see cref="RepositoryError.NotFound"/>, or <see cref="RepositoryError.Damaged"/> when it is shorter.</summary>
    Task<byte[]> LoadAsync(FileKind kind, string name, long offset, int length, CancellationToken cancellation);

    /// <summary>Fills <paramref name="output"/> with a file's bytes from <paramref name="offset"/>; fails as <see cref="LoadAsync"/> does.</summary>
    async Task LoadIntoAsync(FileKind kind, string name, long offset, Memory<byte> output, CancellationToken cancellation) =>
        (await LoadAsync(kind, name, offset, output.Length, cancellation).ConfigureAwait(false)).CopyTo(output);

    /// <summary>Stores a file.</summary>
    Task SaveAsync(FileKind kind, string name, ReadOnlyMemory<byte> content, CancellationToken cancellation);

    /// <summary>Removes a file; one that is not there is no error.</summary>
    Task DeleteAsync(FileKind kind, string name, CancellationToken cancellation);

    /// <summary>All files of a kind, in no particular order.</summary>
    Task<IReadOnlyList<BackendFile>> ListAsync(FileKind kind, CancellationToken cancellation);
}
