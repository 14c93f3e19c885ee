using System.Buffers;
using System.Threading.Tasks.Sources;

namespace Evenkeel.Raid.Devices.Uring;

/// <summary>A request in the kernel's hands: what its caller awaits, and the buffer that must not move meanwhile. Used again and again.</summary>
internal sealed class RingOperation(Ring ring, int number) : IValueTaskSource<int>
{
    // Callers go on in the thread pool: the ring's own thread must never wait for one of them.
    private ManualResetValueTaskSourceCore<int> _core = new() { RunContinuationsAsynchronously = true };
    private MemoryHandle _pinned;

    public int Number => number;

    public nint Pin(ReadOnlyMemory<byte> memory)
    {
        _pinned = memory.Pin();
        unsafe
        {
            return (nint)_pinned.Pointer;
        }
    }

    public ValueTask<int> AsTask() => new(this, _core.Version);

    public void Complete(int result)
    {
        _pinned.Dispose();
        _pinned = default;
        _core.SetResult(result);
    }

    public int GetResult(short token)
    {
        var result = _core.GetResult(token);
        _core.Reset();
        ring.Return(this);
        return result;
    }

    public ValueTaskSourceStatus GetStatus(short token) => _core.GetStatus(token);

    public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _core.OnCompleted(continuation, state, token, flags);
}
