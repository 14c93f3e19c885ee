namespace Evenkeel.Raid.Array;

/// <summary>
/// One writer at a time for a row (or mirrored region). Rows share 256 locks by their number; a holder never takes a second one,
/// so sharing cannot deadlock.
/// </summary>
internal sealed class RegionLocks
{
    /// <summary>How many locks there are.</summary>
    public const int Count = 256;

    private readonly SemaphoreSlim[] _locks = [.. Enumerable.Range(0, Count).Select(_ => new SemaphoreSlim(1, 1))];

    /// <summary>Which of them is a region's.</summary>
    public static int IndexOf(long region) => (int)(region & (Count - 1));

    public async ValueTask<Holder> TakeAsync(long region)
    {
        var held = _locks[IndexOf(region)];
        await held.WaitAsync().ConfigureAwait(false);
        return new Holder(held);
    }

    /// <summary>Takes it if nobody has it and nobody waits.</summary>
    public bool TryTake(long region, out Holder holder)
    {
        var held = _locks[IndexOf(region)];
        holder = new Holder(held);
        return held.Wait(0);
    }

    internal readonly struct Holder(SemaphoreSlim held) : IDisposable
    {
        public void Dispose() => held.Release();
    }
}
