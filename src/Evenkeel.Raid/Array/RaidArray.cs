using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Parity;

namespace Evenkeel.Raid.Array;

/// <summary>
/// A running array: one flat space of bytes over several members. Safe for many callers at once. A write that has returned is on all
/// working members, and durable once a later <see cref="FlushAsync"/> has returned; overlapping writes end in one order on all copies.
/// </summary>
public sealed partial class RaidArray : IAsyncDisposable
{
    private readonly ArrayMetadata _metadata;
    private readonly IArrayEngine _engine;
    private readonly SemaphoreSlim _administration = new(1, 1);
    private long _syncRate;
    private bool _stopped;
    private bool _abandoned;

    internal RaidArray(ArrayMetadata metadata, Guid id, string name)
    {
        (_metadata, Id, Name, SyncBytesPerSecond) = (metadata, id, name, metadata.Options.SyncBytesPerSecond);
        _engine = metadata.Geometry.HasParity ? new ParityEngine(metadata, ParityKernel.Best) : new MirrorEngine(metadata);
    }

    /// <summary>The array's identity.</summary>
    public Guid Id { get; }

    /// <summary>The array's name.</summary>
    public string Name { get; }

    /// <summary>Its shape.</summary>
    public ArrayGeometry Geometry => _metadata.Geometry;

    /// <summary>Its size in bytes.</summary>
    public long Length => Geometry.Sectors * ArrayGeometry.SectorBytes;

    /// <summary>All devices that belong to it, faulty ones and spares included.</summary>
    public IReadOnlyList<ArrayMember> Members => _metadata.Members;

    /// <summary>Whether a slot lacks an up-to-date member.</summary>
    public bool IsDegraded => _metadata.Degraded;

    /// <summary>Whether more was lost than the level survives; nothing is written any more.</summary>
    public bool IsBroken => _metadata.Broken;

    /// <summary>Whether a power cut now would call for a resync.</summary>
    public bool IsDirty => _metadata.ResyncOffset != Superblock.MdSuperblock.Clean;

    /// <summary>The limit on resync, rebuild and scrub in bytes of sync space a second, null = none; a change takes effect at once.</summary>
    public long? SyncBytesPerSecond
    {
        get => Volatile.Read(ref _syncRate) is > 0 and var rate ? rate : null;
        set => Volatile.Write(ref _syncRate, value ?? 0);
    }

    /// <summary>Bytes of sync space whose redundancy is yet to be made good by <see cref="ResyncAsync"/>.</summary>
    public long OutOfSyncBytes => (_metadata.Intent?.OutOfSync.Count ?? 0) * (_metadata.Intent?.ChunkSectors ?? 0) * 512;

    /// <summary>Reads; offset and length are multiples of 512.</summary>
    /// <exception cref="IOException">The data cannot be read from any combination of members.</exception>
    public ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        Check(offset, buffer.Length);
        return buffer.Length == 0 ? default : _engine.ReadAsync(offset / 512, buffer);
    }

    /// <summary>Writes; offset and length are multiples of 512. The buffer must not change until the call has returned.</summary>
    /// <exception cref="IOException">Too many members failed; any part of the range may be old or new.</exception>
    [System.Runtime.CompilerServices.AsyncMethodBuilder(typeof(System.Runtime.CompilerServices.PoolingAsyncValueTaskMethodBuilder))]
    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        Check(offset, buffer.Length);
        if (buffer.Length == 0) return;
        if (_metadata.Intent is not { } intent)
        {
            await _engine.WriteAsync(offset / 512, buffer).ConfigureAwait(false);
            return;
        }

        var (sector, count) = SyncSpace.Of(Geometry, offset / 512, buffer.Length / 512);
        await intent.BeginAsync(sector, count).ConfigureAwait(false);
        try
        {
            await _engine.WriteAsync(offset / 512, buffer).ConfigureAwait(false);
        }
        finally
        {
            intent.End(sector, count);
        }
    }

    /// <summary>Whether <see cref="ZeroAsync"/> gives room back on every member.</summary>
    public bool CanDiscard => Members.All(member => member.State == MemberState.Faulty || member.Device.CanDiscard);

    /// <summary>Makes a range read as zeros, and gives its room back where members can; else like a write. Multiples of 512.</summary>
    /// <exception cref="IOException">As for a write.</exception>
    public async ValueTask ZeroAsync(long offset, long length)
    {
        Check(offset, length);
        // Piece by piece, so that a huge range does not keep a huge part of the bitmap from its rest.
        for (long done = 0, part; done < length; done += part)
        {
            part = Math.Min(length - done, 64L << 20);
            await ChangeAsync(offset + done, part, (at, count) => _engine.ZeroAsync(at, count)).ConfigureAwait(false);
        }
    }

    /// <summary>Makes all writes that returned before this call durable on every working member.</summary>
    public ValueTask FlushAsync() => new(_metadata.FlushAsync());

    /// <summary>
    /// Housekeeping, to be called every few seconds: chunks that rest lose their bitmap bit, and an array without writes is marked clean.
    /// </summary>
    public Task SettleAsync() => _metadata.Broken ? Task.CompletedTask : _metadata.Intent?.SettleAsync() ?? Task.CompletedTask;

    /// <summary>
    /// Whoever left the array before may have gone on without it: none of them is taken back by the bitmap, which does not name what
    /// they wrote. Durable when it returns; nothing where the array has counted that far before.
    /// </summary>
    /// <param name="events">The array's events go on from here: more than the others can have counted.</param>
    public async Task ForkAsync(ulong events)
    {
        if (_metadata.Events >= events) return;
        if (_metadata.Intent is { } intent) await intent.ForgetBeforeAsync(events).ConfigureAwait(false);
        await ChangeAsync(() => _metadata.Events = events).ConfigureAwait(false);
    }

    /// <summary>Stops cleanly and closes the members. The caller has stopped all reads and writes before.</summary>
    public async Task StopAsync()
    {
        if (_stopped) return;
        _stopped = true;
        try
        {
            if (!IsBroken && !_abandoned) await _metadata.FlushAsync().ConfigureAwait(false);
            if (!_abandoned) await SettleAsync().ConfigureAwait(false);
        }
        finally
        {
            foreach (var member in Members) await member.Device.DisposeAsync().ConfigureAwait(false);
            _metadata.Dispose();
            _metadata.Intent?.Dispose();
            _administration.Dispose();
        }
    }

    /// <inheritdoc cref="StopAsync"/>
    public async ValueTask DisposeAsync() => await StopAsync().ConfigureAwait(false);

    /// <summary>Bytes that a device must have to fill a slot.</summary>
    public long LeastDeviceBytes => ((long)Members[0].Superblock.DataOffset + Geometry.MemberSectors) * 512;

    internal ArrayMetadata Metadata => _metadata;

    /// <summary>The metadata were rewritten by someone else: stopping must only close the members.</summary>
    internal void Abandon() => _abandoned = true;

    private async ValueTask ChangeAsync(long offset, long length, Func<long, long, ValueTask> change)
    {
        if (_metadata.Intent is not { } intent)
        {
            await change(offset / 512, length / 512).ConfigureAwait(false);
            return;
        }

        var (sector, count) = SyncSpace.Of(Geometry, offset / 512, length / 512);
        await intent.BeginAsync(sector, count).ConfigureAwait(false);
        try
        {
            await change(offset / 512, length / 512).ConfigureAwait(false);
        }
        finally
        {
            intent.End(sector, count);
        }
    }

    private void Check(long offset, long length)
    {
        ObjectDisposedException.ThrowIf(_stopped, this);
        if (offset < 0 || length < 0 || (offset | length) % 512 != 0 || offset + length > Length)
            throw new ArgumentException($"Bytes {offset} to {offset + length} are not whole sectors of an array of {Length} bytes.");
    }

    private Task ChangeAsync(Action change) => _metadata.ChangeAsync(change);

    private void Raise(string kind, IMemberDevice? device, string detail) => _metadata.Options.OnEvent(new ArrayEvent(kind, device?.Name, detail));
}
