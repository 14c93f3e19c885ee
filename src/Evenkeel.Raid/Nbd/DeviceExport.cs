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

    public bool CanTrim => !readOnly && device.CanDiscard;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => device.ReadAsync(offset, buffer);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => device.WriteAsync(offset, buffer);

    public ValueTask FlushAsync() => device.FlushAsync();

    public ValueTask WriteZeroesAsync(long offset, long length, bool mayPunch) =>
        mayPunch ? device.ZeroAsync(offset, length) : Zeros.WriteAsync(device.WriteAsync, offset, length);

    public ValueTask TrimAsync(long offset, long length) => device.ZeroAsync(offset, length);

    public ValueTask MapAsync(long offset, long length, List<NbdExtent> extents)
    {
        for (var end = offset + length; offset < end && extents.Count < NbdExtent.Maximum;)
        {
            var (hole, bytes) = device is FileDevice file ? file.ExtentAt(offset) : (false, length);
            // Holes of a file begin and end at its file system's blocks; what is smaller than a sector counts as data.
            bytes = Math.Max(512, Math.Min(bytes, end - offset) / 512 * 512);
            extents.Add(new NbdExtent(bytes, hole));
            offset += bytes;
        }

        return default;
    }
}
