namespace Evenkeel.Raid.Array;

/// <summary>Keeps long work to a rate that may change while it runs. Time lost elsewhere is not caught up by a burst.</summary>
internal sealed class SyncPace(TimeProvider time)
{
    private readonly long _started = time.GetTimestamp();
    private TimeSpan _due;

    /// <summary>Waits after some bytes so that the rate is not exceeded.</summary>
    public async ValueTask KeepAsync(long bytes, long? perSecond, CancellationToken stop)
    {
        var now = time.GetElapsedTime(_started);
        if (_due < now) _due = now;
        if (perSecond is not { } rate) return;
        _due += TimeSpan.FromSeconds((double)bytes / rate);
        // Below a timer's grain waiting costs more than it keeps; the debt is carried on.
        if (_due - now > TimeSpan.FromMilliseconds(15)) await Task.Delay(_due - now, time, stop).ConfigureAwait(false);
    }
}
