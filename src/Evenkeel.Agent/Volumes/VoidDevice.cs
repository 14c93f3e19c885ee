using Evenkeel.Raid.Devices;

namespace Evenkeel.Agent.Volumes;

/// <summary>Stands for a leg that is not there while an array is made: takes everything, holds nothing, and is put out at once.</summary>
internal sealed class VoidDevice(string name, long length) : IMemberDevice
{
    public string Name => name;
    public long Length => length;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        buffer.Span.Clear();
        return default;
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => default;
    public ValueTask FlushAsync() => default;
    public ValueTask DisposeAsync() => default;
}
