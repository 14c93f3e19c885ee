using Evenkeel.Core.Model;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Nbd;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// A leg as the array's member. A request that fails does not fail: it waits until the cluster has committed that the leg is out
/// (<see cref="Expel"/>), and only then the array hears of it, ejects the member, and acknowledges the write that the leg lacks.
/// That order is what makes a promotion from the committed legs safe. The writer's own leg is different: without it the node must
/// not write at all.
/// </summary>
internal sealed class LegDevice(LegLink link, NbdClient client, Action changed, Action<string> fatal) : IMemberDevice
{
    private readonly TaskCompletionSource _expelled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private int _waiting;

    public string Name => $"leg:{link.Leg.Node}";
    public NodeName Node => link.Leg.Node;
    public bool IsLocal => link.IsLocal;
    public long Length => client.Length;
    /// <summary>Requests that wait for the leg to be put out.</summary>
    public int Waiting => Volatile.Read(ref _waiting);
    public bool IsExpelled => _expelled.Task.IsCompleted;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => DoAsync(() => client.ReadAsync(offset, buffer));

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => DoAsync(() => client.WriteAsync(offset, buffer));

    public ValueTask FlushAsync() => DoAsync(client.FlushAsync);

    /// <summary>The cluster has committed that writes go on without it. What is under way fails now.</summary>
    public void Expel()
    {
        if (_expelled.TrySetResult())
        {
            // Ends requests that still wait for an answer.
            _ = client.DisposeAsync().AsTask();
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (_expelled.TrySetResult())
        {
            await client.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async ValueTask DoAsync(Func<ValueTask> act)
    {
        if (!link.Broken && !IsExpelled)
        {
            try
            {
                await act().ConfigureAwait(false);
                return;
            }
            catch (Exception failure) when (failure is IOException or ObjectDisposedException)
            {
                if (link.IsLocal && !IsExpelled)
                {
                    fatal($"the leg of this node failed: {failure.Message}");
                    await Task.Delay(Timeout.Infinite).ConfigureAwait(false); // Nothing is acknowledged any more.
                }
            }
        }

        if (!IsExpelled)
        {
            link.Broken = true;
            Interlocked.Increment(ref _waiting);
            changed();
            await _expelled.Task.ConfigureAwait(false);
            Interlocked.Decrement(ref _waiting);
        }

        throw new IOException($"{Name} was put out");
    }
}
