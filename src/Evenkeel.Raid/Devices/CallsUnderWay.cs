namespace Evenkeel.Raid.Devices;

/// <summary>Counts the calls that use something, so that it is taken away after the last of them. Any thread may call.</summary>
internal sealed class CallsUnderWay
{
    private readonly TaskCompletionSource _none = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _state; // calls; negative once no more may begin

    /// <summary>A call, over when it is disposed of; null when no more may begin.</summary>
    public Call? TryBegin()
    {
        if (Interlocked.Increment(ref _state) > 0) return new Call(this);
        Leave();
        return null;
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _state) == int.MinValue) _none.TrySetResult();
    }

    /// <summary>No call begins from now on; completes when none is under way.</summary>
    public Task EndAsync()
    {
        if (Interlocked.Or(ref _state, int.MinValue) is 0 or int.MinValue) _none.TrySetResult();
        return _none.Task;
    }

    public readonly struct Call(CallsUnderWay calls) : IDisposable
    {
        public void Dispose() => calls.Leave();
    }
}
