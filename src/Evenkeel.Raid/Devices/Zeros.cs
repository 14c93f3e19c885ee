namespace Evenkeel.Raid.Devices;

/// <summary>Writing zeros where a device cannot make them by itself.</summary>
internal static class Zeros
{
    private static readonly byte[] Block = new byte[1 << 20];

    /// <summary>Up to a MiB of them.</summary>
    public static ReadOnlyMemory<byte> Of(long bytes) => Block.AsMemory(0, (int)Math.Min(bytes, Block.Length));

    public static ValueTask WriteAsync(IMemberDevice device, long offset, long length) => WriteAsync(device.WriteAsync, offset, length);

    public static async ValueTask WriteAsync(Func<long, ReadOnlyMemory<byte>, ValueTask> write, long offset, long length)
    {
        while (length > 0)
        {
            var part = Of(length);
            await write(offset, part).ConfigureAwait(false);
            (offset, length) = (offset + part.Length, length - part.Length);
        }
    }
}
