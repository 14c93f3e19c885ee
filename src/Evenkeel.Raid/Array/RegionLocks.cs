namespace Evenkeel.Raid.Array;

/// <summary>
/// One writer at a time for a row (or mirrored region). Rows share 256 locks by their number; a holder never takes a second one,
/// so sharing cannot deadlock.
/// </summary>
internal sealed class RegionLocks
{
    private readonly SemaphoreSlim[] _locks = [.. Enumerable.Range(0, 256).Select(_ => new SemaphoreSlim(1, 1))];

    public async ValueTask<Holder> TakeAsync(long region)
    {
        var held = _locks[region & 255];
        await held.WaitAsync().ConfigureAwait(false);
        return new Holder(held);
    }

    internal readonly struct Holder(SemaphoreSlim held) : IDisposable
    {
        public void Dispose() => held.Release();
    }
}
