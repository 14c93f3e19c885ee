namespace Evenkeel.Backup.Engine;

/// <summary>Bounds the bytes between one producer and its consumers, so that memory does not grow with a slow backend.</summary>
internal sealed class ByteBudget(long limit)
{
    private readonly Lock _gate = new();
    private long _used;
    private long _wanted;
    private TaskCompletionSource? _waiter;

    /// <summary>Waits until the bytes fit (a single piece larger than the limit fits when nothing else is out). One caller at a time.</summary>
    public Task TakeAsync(long bytes, CancellationToken cancellation)
    {
        lock (_gate)
        {
            if (_used == 0 || _used + bytes <= limit)
            {
                _used += bytes;
                return Task.CompletedTask;
            }
            _wanted = bytes;
            _waiter = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _waiter.Task.WaitAsync(cancellation);
        }
    }

    public void Return(long bytes)
    {
        TaskCompletionSource? waiter = null;
        lock (_gate)
        {
            _used -= bytes;
            if (_waiter is not null && (_used == 0 || _used + _wanted <= limit))
            {
                _used += _wanted;
                (waiter, _waiter) = (_waiter, null);
            }
        }
        waiter?.TrySetResult();
    }
}
