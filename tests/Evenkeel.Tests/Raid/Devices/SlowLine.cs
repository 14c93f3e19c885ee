using Evenkeel.Raid.Devices;

namespace Evenkeel.Tests.Raid.Devices;

/// <summary>A device at the other end of a line that lets through what it is told to, in order, and nothing after its cut.</summary>
internal sealed class SlowLine(IMemberDevice inner) : IMemberDevice
{
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _passes = new(0);
    private readonly TaskCompletionSource _cut = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _last = Task.CompletedTask;

    public string Name => inner.Name;
    public long Length => inner.Length;

    /// <summary>What was carried out: the offset of a write, -1 for a flush.</summary>
    public List<long> Done { get; } = [];

    public void Let(int requests)
    {
        if (requests > 0) _passes.Release(requests);
    }

    /// <summary>Lets through whatever comes from now on.</summary>
    public void Open() => _passes.Release(int.MaxValue / 2);

    public void Cut()
    {
        lock (_gate) _cut.TrySetResult();
    }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => inner.ReadAsync(offset, buffer);
    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => NextAsync(offset, () => inner.WriteAsync(offset, buffer));
    public ValueTask FlushAsync() => NextAsync(-1, inner.FlushAsync);

    public ValueTask DisposeAsync()
    {
        Cut();
        return default;
    }

    private ValueTask NextAsync(long offset, Func<ValueTask> act)
    {
        lock (_gate) return new ValueTask(_last = AfterAsync(_last, offset, act));
    }

    private async Task AfterAsync(Task before, long offset, Func<ValueTask> act)
    {
        await before;
        await Task.WhenAny(_passes.WaitAsync(), _cut.Task);
        lock (_gate)
        {
            if (_cut.Task.IsCompleted) throw new IOException("the line is cut");
            // Simulated disks answer at once: nothing of it can happen after a cut.
            act().AsTask().GetAwaiter().GetResult();
            Done.Add(offset);
        }
    }
}
