using Evenkeel.Raid.Array;

namespace Evenkeel.Raid.Nbd;

/// <summary>An array served as an export. Its flush covers every acknowledged write, whoever made it.</summary>
public sealed class ArrayExport(RaidArray array, string name, bool readOnly = false) : INbdExport
{
    public string Name => name;

    public string Description => $"RAID {(int)array.Geometry.Level} of {array.Geometry.Members}, {array.Name}";

    public long Length => array.Length;

    public bool IsReadOnly => readOnly;

    public bool FlushCoversAllConnections => true;

    public bool CanTrim => !readOnly && array.CanDiscard;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => array.ReadAsync(offset, buffer);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer) => array.WriteAsync(offset, buffer);

    public ValueTask FlushAsync() => array.FlushAsync();

    public ValueTask WriteZeroesAsync(long offset, long length, bool mayPunch) =>
        mayPunch ? array.ZeroAsync(offset, length) : Devices.Zeros.WriteAsync(array.WriteAsync, offset, length);

    // What is trimmed reads as zeros: members must agree on something.
    public ValueTask TrimAsync(long offset, long length) => array.ZeroAsync(offset, length);
}
