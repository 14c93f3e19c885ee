using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Nbd;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Agent.Volumes;

/// <summary>
/// Decides who may write a leg (<see cref="LegGate"/>) and makes it so: a later epoch is on stable storage, and no request of an
/// older writer, or of an older connection of the same, is under way before the new one is let in. Opens the leg's device, and makes it where there is none.
/// </summary>
internal sealed class LegDesk : IAsyncDisposable
{
    private readonly SemaphoreSlim _admission = new(1);
    private readonly Lock _gate = new();
    private readonly LegGate _epochs;
    private readonly Dictionary<(Epoch Epoch, long Connection), int> _underWay = [];
    private TaskCompletionSource? _drained;
    private (Epoch Epoch, long Connection) _draining;
    private LegRecord _record;

    private LegDesk(IMemberDevice device, LegRecord record)
    {
        (Device, _record, _epochs) = (device, record, new LegGate(record.Epoch));
    }

    public IMemberDevice Device { get; }
    public LegRecord Record => _record;

    /// <summary>Raised on any thread when what the leg would report may have changed.</summary>
    public event Action? Changed;

    /// <exception cref="IOException">The device cannot be had, is too small, or belongs to another volume; with the words for the user.</exception>
    public static async Task<LegDesk> OpenAsync(LegSettings settings)
    {
        var fresh = await MakeAsync(settings).ConfigureAwait(false);
        var device = FileDevice.Open(settings.Path);
        try
        {
            if (device.Length < settings.Bytes - (settings.Bytes >> 8) - (4 << 20))
            {
                throw new IOException($"{settings.Path} has {device.Length} bytes; the volume needs {settings.Bytes}");
            }

            var record = await LegRecord.ReadAsync(device).ConfigureAwait(false);
            if (record is not null && record.Volume != settings.Volume)
            {
                throw new IOException($"{settings.Path} is a leg of the volume '{record.Volume}'");
            }

            if (record is null)
            {
                await RefuseForeignAsync(device).ConfigureAwait(false);
                record = new LegRecord(settings.Volume, Epoch.None, null, fresh);
                await record.WriteAsync(device).ConfigureAwait(false);
            }

            return new LegDesk(device, record);
        }
        catch
        {
            await device.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>What the asker writes through from now on; null with the reason told when it must not.</summary>
    /// <exception cref="IOException">The epoch cannot be kept: the leg is broken.</exception>
    /// <param name="connection">See <see cref="LegGate.Admit"/>.</param>
    /// <param name="lags">What comes has been acknowledged before: the leg remembers that it is behind others.</param>
    public async Task<(INbdExport? Export, string? Refusal)> AdmitAsync(Epoch epoch, long connection, bool lags, CancellationToken stop)
    {
        await _admission.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            bool raised;
            lock (_gate)
            {
                // From here on requests of older writers are refused, even if what follows fails.
                if (_epochs.Admit(epoch, connection, out raised) is { } refusal)
                {
                    return (null, refusal);
                }
            }

            if (raised || (lags && _record.Lagged != epoch))
            {
                await KeepAsync(_record with { Epoch = epoch, Lagged = lags ? epoch : _record.Lagged }).ConfigureAwait(false);
            }

            await DrainAsync((epoch, connection), stop).ConfigureAwait(false);
            Changed?.Invoke();
            return (lags ? new InOrderExport(new LegExport(this, epoch, connection)) : new LegExport(this, epoch, connection), null);
        }
        finally
        {
            _admission.Release();
        }
    }

    /// <summary>The volume's data are committed under this name: the leg is never taken for a new one again.</summary>
    public async Task SettleAsync(string data, CancellationToken stop)
    {
        await _admission.WaitAsync(stop).ConfigureAwait(false);
        try
        {
            // Only what really has these data: a leg of a new disk is still to get them.
            if (_record.Data == data || await SuperblockAsync().ConfigureAwait(false) is not { } superblock || superblock.ArrayId.ToString() != data)
            {
                return;
            }

            await KeepAsync(_record with { Data = data, Fresh = false }).ConfigureAwait(false);
        }
        finally
        {
            _admission.Release();
        }

        Changed?.Invoke();
    }

    public async Task<LegReport> ReportAsync()
    {
        var superblock = await SuperblockAsync().ConfigureAwait(false);
        return new LegReport
        {
            Epoch = _record.Epoch,
            Data = _record.Data,
            Events = (long)(superblock?.Events ?? 0),
            Complete = superblock is not null && !superblock.Features.HasFlag(MdFeatures.RecoveryOffset) && superblock.Role < superblock.Slots,
        };
    }

    public async ValueTask DisposeAsync()
    {
        await Device.DisposeAsync().ConfigureAwait(false);
        _admission.Dispose();
    }

    /// <exception cref="IOException">A later writer, or a later connection of this one, has come.</exception>
    internal void Enter(Epoch epoch, long connection, bool writes)
    {
        lock (_gate)
        {
            if (!_epochs.MayRead(epoch))
            {
                throw new IOException($"epoch {epoch} is over");
            }

            if (writes && !_epochs.MayWrite(epoch, connection))
            {
                throw new IOException($"a newer connection of the writer under {epoch} has come");
            }

            _underWay[(epoch, connection)] = _underWay.GetValueOrDefault((epoch, connection)) + 1;
        }
    }

    internal void Leave(Epoch epoch, long connection, bool metadata)
    {
        lock (_gate)
        {
            if (--_underWay[(epoch, connection)] == 0)
            {
                _underWay.Remove((epoch, connection));
            }

            if (_drained is { } waiting && _underWay.Keys.All(left => left.CompareTo(_draining) >= 0))
            {
                waiting.TrySetResult();
            }
        }

        if (metadata)
        {
            Changed?.Invoke();
        }
    }

    private async Task DrainAsync((Epoch Epoch, long Connection) comes, CancellationToken stop)
    {
        Task drained;
        lock (_gate)
        {
            if (_underWay.Keys.All(left => left.CompareTo(comes) >= 0))
            {
                return;
            }

            _draining = comes;
            _drained = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            drained = _drained.Task;
        }

        await drained.WaitAsync(stop).ConfigureAwait(false);
    }

    private async Task KeepAsync(LegRecord record)
    {
        await record.WriteAsync(Device).ConfigureAwait(false);
        _record = record;
    }

    private async Task<MdSuperblock?> SuperblockAsync()
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        await Device.ReadAsync(MdSuperblockCodec.ByteOffset, bytes).ConfigureAwait(false);
        try
        {
            return MdSuperblockCodec.IsPresent(bytes) ? MdSuperblockCodec.Read(bytes) : null;
        }
        catch (MdFormatException)
        {
            return null; // Half written, or none of md's.
        }
    }

    // A leg begins on what is empty. Only an array of the user's own is taken over with its data, and keeps its first 4 KiB free.
    private static async Task RefuseForeignAsync(FileDevice device)
    {
        var superblock = new byte[MdSuperblockCodec.MaximumBytes];
        await device.ReadAsync(MdSuperblockCodec.ByteOffset, superblock).ConfigureAwait(false);
        if (MdSuperblockCodec.IsPresent(superblock) || await FileDevice.IsBlankAsync(device).ConfigureAwait(false))
        {
            return;
        }

        throw new IOException($"{device.Name} is not empty and was never a leg: it may hold somebody's data ('blkid -p {device.Name}'). If nothing there is needed, "
            + $"'dd if=/dev/zero of={device.Name} bs=1M count=1 conv=notrunc,fsync' makes it free for the volume");
    }

    // Its directory is the user's: a disk that is not mounted must not become a file on the disk below.
    private static async Task<bool> MakeAsync(LegSettings settings)
    {
        if (File.Exists(settings.Path) || Path.GetFullPath(settings.Path).StartsWith("/dev/", StringComparison.Ordinal))
        {
            return false;
        }

        if (Path.GetDirectoryName(settings.Path) is not { } directory || !Directory.Exists(directory))
        {
            throw new IOException($"{Path.GetDirectoryName(settings.Path)} is not there: make it, or mount its disk");
        }

        var aside = settings.Path + ".new";
        await using (var file = new FileStream(aside, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            File.SetUnixFileMode(aside, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            file.SetLength(settings.Bytes);
            file.Flush(flushToDisk: true);
        }

        File.Move(aside, settings.Path);
        return true;
    }
}
