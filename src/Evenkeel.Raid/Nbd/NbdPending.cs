using System.Threading.Tasks.Sources;

namespace Evenkeel.Raid.Nbd;

/// <summary>A client's request that has no reply yet; used again and again.</summary>
internal sealed class NbdPending : IValueTaskSource
{
    private readonly Action<NbdPending> _idle;
    // Not on the thread that receives: whoever waits may go on to what needs that one's next reply.
    private ManualResetValueTaskSourceCore<bool> _core = new() { RunContinuationsAsynchronously = true };

    public NbdPending(Action<NbdPending> idle) => _idle = idle;

    /// <summary>Where a read goes.</summary>
    public Memory<byte> Target { get; private set; }

    /// <summary>When it has waited long enough, in the connection's ticks.</summary>
    public long Due { get; private set; }

    public ValueTask Begin(Memory<byte> target, long due)
    {
        (Target, Due) = (target, due);
        return new ValueTask(this, _core.Version);
    }

    public void Complete(IOException? error)
    {
        Target = default;
        if (error is null) _core.SetResult(true);
        else _core.SetException(error);
    }

    public void GetResult(short token)
    {
        try
        {
            _core.GetResult(token);
        }
        finally
        {
            _core.Reset();
            _idle(this);
        }
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
