using Evenkeel.Raid.Devices;

namespace Evenkeel.Raid.Nbd;

/// <summary>A file or block device served as an export, as a leg of an array on another node.</summary>
public sealed class DeviceExport(IMemberDevice device, string name, bool readOnly = false) : INbdExport
{
    public string Name => name;

    public string Description => device.Name;

    public long Length => device.Length / 512 * 512;

    public bool IsReadOnly => readOnly;

    public bool FlushCoversAllConnections => true;

    public bool CanTrim => false;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => device.ReadAsync(offset, buffer);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => device.WriteAsync(offset, buffer);

    public ValueTask FlushAsync() => device.FlushAsync();

    public ValueTask TrimAsync(long offset, long length) => default;
}
