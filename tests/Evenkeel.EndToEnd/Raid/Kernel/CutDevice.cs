using Evenkeel.Raid.Devices;

namespace Evenkeel.EndToEnd.Raid.Kernel;

/// <summary>What all members of an array hang on.</summary>
internal sealed class Mains
{
    /// <summary>Once off, nothing is written any more.</summary>
    public bool IsOff { get; set; }

    /// <summary>Goes off instead of this write, if it says so: device's name, byte offset.</summary>
    public Func<string, long, bool> CutBefore { get; set; } = (_, _) => false;
}

/// <summary>A member that loses its power before a chosen write. What it wrote until then stays.</summary>
internal sealed class CutDevice(IMemberDevice device, Mains mains) : IMemberDevice
{
    public string Name => device.Name;

    public long Length => device.Length;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => mains.IsOff ? throw new IOException("no power") : device.ReadAsync(offset, buffer);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        mains.IsOff |= mains.CutBefore(Name, offset);
        return mains.IsOff ? throw new IOException("no power") : device.WriteAsync(offset, buffer);
    }

    public ValueTask FlushAsync() => mains.IsOff ? throw new IOException("no power") : device.FlushAsync();

    public ValueTask DisposeAsync() => device.DisposeAsync();
}
