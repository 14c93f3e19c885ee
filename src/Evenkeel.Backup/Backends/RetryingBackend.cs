namespace Evenkeel.Backup.Backends;

/// <summary>Tries again what failed because the place could not be reached; all else passes through at once.</summary>
/// <remarks>Every operation of the contract may be repeated: a save carries the same content under the same name. A place that was
/// never reached is more likely misspelt than away, so its failure is told at once.</remarks>
public sealed class RetryingBackend(IBackend inner, TimeProvider time) : IBackend
{
    /// <summary>Waits between the tries; with five tries a server may be away for half a minute.</summary>
    private static readonly TimeSpan[] Waits =
        [TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(2), TimeSpan.FromSeconds(8), TimeSpan.FromSeconds(20)];

    private volatile bool _reached;

    /// <inheritdoc/>
    public string Location => inner.Location;

    /// <inheritdoc/>
    public Task CreateAsync(CancellationToken cancellation) => inner.CreateAsync(cancellation);

    /// <inheritdoc/>
    public Task<bool> ExistsAsync(FileKind kind, string name, CancellationToken cancellation) =>
        AgainAsync(() => inner.ExistsAsync(kind, name, cancellation), cancellation);

    /// <inheritdoc/>
    public Task<byte[]> LoadAsync(FileKind kind, string name, long offset, int length, CancellationToken cancellation) =>
        AgainAsync(() => inner.LoadAsync(kind, name, offset, length, cancellation), cancellation);

    /// <inheritdoc/>
    public Task LoadIntoAsync(FileKind kind, string name, long offset, Memory<byte> output, CancellationToken cancellation) =>
        AgainAsync(async () =>
        {
            await inner.LoadIntoAsync(kind, name, offset, output, cancellation).ConfigureAwait(false);
            return true;
        }, cancellation);

    /// <inheritdoc/>
    public Task SaveAsync(FileKind kind, string name, ReadOnlyMemory<byte> content, CancellationToken cancellation) =>
        AgainAsync(async () =>
        {
            await inner.SaveAsync(kind, name, content, cancellation).ConfigureAwait(false);
            return true;
        }, cancellation);

    /// <inheritdoc/>
    public Task DeleteAsync(FileKind kind, string name, CancellationToken cancellation) =>
        AgainAsync(async () =>
        {
            await inner.DeleteAsync(kind, name, cancellation).ConfigureAwait(false);
            return true;
        }, cancellation);

    /// <inheritdoc/>
    public Task<IReadOnlyList<BackendFile>> ListAsync(FileKind kind, CancellationToken cancellation) =>
        AgainAsync(() => inner.ListAsync(kind, cancellation), cancellation);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => inner.DisposeAsync();

    private async Task<T> AgainAsync<T>(Func<Task<T>> action, CancellationToken cancellation)
    {
        for (var tries = 0; ; tries++)
        {
            try
            {
                var result = await action().ConfigureAwait(false);
                _reached = true;
                return result;
            }
            catch (RepositoryException e) when (e.Error == RepositoryError.Unavailable && _reached && tries < Waits.Length)
            {
                await Task.Delay(Waits[tries], time, cancellation).ConfigureAwait(false);
            }
        }
    }
}
