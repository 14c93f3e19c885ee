using Evenkeel.Raid.Nbd;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// A leg as it is written to behind others: writes and flushes one after the other, in the order in which they came over the connection,
/// and none after one that failed. So whatever ends them, the leg has the first so many of them, and a flush is a barrier. The writer
/// need not wait for an answer before it sends the next one.
/// </summary>
internal sealed class InOrderExport(LegExport leg) : INbdExport
{
    private readonly Lock _gate = new();
    private Task _last = Task.CompletedTask;

    public string Name => leg.Name;
    public string Description => leg.Description;
    public long Length => leg.Length;
    public bool IsReadOnly => leg.IsReadOnly;
    public bool FlushCoversAllConnections => leg.FlushCoversAllConnections;
    public bool CanTrim => leg.CanTrim;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => leg.ReadAsync(offset, buffer);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => NextAsync(() => leg.WriteAsync(offset, buffer));

    public ValueTask FlushAsync() => NextAsync(leg.FlushAsync);

    public ValueTask TrimAsync(long offset, long length) => leg.TrimAsync(offset, length);

    private ValueTask NextAsync(Func<ValueTask> act)
    {
        lock (_gate)
        {
            return new ValueTask(_last = AfterAsync(_last, act));
        }
    }

    // Runs at once what waits for nobody: a write into the page cache has ended when this returns.
    private static async Task AfterAsync(Task before, Func<ValueTask> act)
    {
        await before.ConfigureAwait(false);
        await act().ConfigureAwait(false);
    }
}
