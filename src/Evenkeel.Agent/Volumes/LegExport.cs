using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Raid.Nbd;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// A leg as one connection of a writer reaches it: every request is refused once a writer of a later epoch was let in, and every write
/// once a later connection of the same writer was.
/// </summary>
internal sealed class LegExport(LegDesk desk, Epoch epoch, long connection) : INbdExport
{
    public string Name => LegName.Of(desk.Record.Volume, epoch, connection);
    public string Description => desk.Device.Name;
    public long Length => desk.Device.Length / 512 * 512;
    public bool IsReadOnly => false;
    public bool FlushCoversAllConnections => true;
    public bool CanTrim => false;

    public ValueTask ReadAsync(long offset, Memory<byte> buffer) => DoAsync(() => desk.Device.ReadAsync(offset, buffer), writes: false, metadata: false);

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        // The leg's own record is its server's alone.
        if (offset < LegRecord.Room)
        {
            throw new IOException("a writer must not write a leg's record");
        }

        return DoAsync(() => desk.Device.WriteAsync(offset, buffer), writes: true, metadata: offset < MdSuperblockCodec.ByteOffset + MdSuperblockCodec.MaximumBytes);
    }

    public ValueTask FlushAsync() => DoAsync(desk.Device.FlushAsync, writes: false, metadata: false);

    public ValueTask TrimAsync(long offset, long length) => default;

    private async ValueTask DoAsync(Func<ValueTask> act, bool writes, bool metadata)
    {
        desk.Enter(epoch, connection, writes);
        try
        {
            await act().ConfigureAwait(false);
        }
        finally
        {
            desk.Leave(epoch, connection, metadata);
        }
    }
}
