using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>
/// Which chunks may differ between members. The order is all that matters: a chunk's bit is durable on every member before its first
/// data write starts, and is taken back only after a flush that began when no write of the chunk was under way. While a slot is empty
/// no bit is taken back: they say what a returning member lacks. Of a member that lags the flush says nothing: beside one, a bit is
/// taken back in two rounds, when the chunk has rested from before the first until the member had everything of before it, durably.
/// An array without a bitmap on disk keeps the same books in memory only.
/// </summary>
internal sealed class WriteIntent : IDisposable
{
    private const int PageBytes = 4096;
    private readonly SemaphoreSlim _io = new(1, 1);
    // Two writes of one page under way at once could end in the older one: a bit would be lost. So image writes take turns.
    private readonly SemaphoreSlim _imageIo = new(1, 1);
    private readonly Lock _gate = new();
    private readonly ArrayMetadata _metadata;
    private readonly ChunkSet _set;
    private readonly ushort[] _writes;
    private readonly byte[]? _image;
    private BitmapHeader? _header;
    private bool _active; // the superblocks say 'dirty', durably
    private long _underWay;
    private long _begun;
    private Round? _round;
    private ChunkSet? _rested; // in the round: chunks that rested at its begin, and since

    /// <summary>Beside members that lag: begun, and to be ended once they have everything of before it.</summary>
    private sealed record Round(IMemberDevice[] Lagging, Task Durable, ulong Events);

    /// <param name="metadata">The array.</param>
    /// <param name="header">The bitmap's header; null = no bitmap on disk.</param>
    /// <param name="chunkSectors">Sync sectors in a chunk; must agree with the header.</param>
    /// <param name="dirty">Bits that are set on disk.</param>
    /// <param name="outOfSync">Chunks whose redundancy is to be made good.</param>
    public WriteIntent(ArrayMetadata metadata, BitmapHeader? header, long chunkSectors, ChunkSet dirty, ChunkSet outOfSync)
    {
        (_metadata, _header, ChunkSectors, _set, OutOfSync) = (metadata, header, chunkSectors, dirty, outOfSync);
        _writes = new ushort[dirty.Size];
        if (header is null) return;
        _image = new byte[(BitmapHeader.Bytes + (dirty.Size + 7) / 8 + 511) / 512 * 512];
        header.Write(_image);
        for (var chunk = dirty.Next(0); chunk >= 0; chunk = dirty.Next(chunk + 1)) Mark(chunk, true);
    }

    public long ChunkSectors { get; }

    public long Chunks => _set.Size;

    /// <summary>Chunks that still need resync.</summary>
    public ChunkSet OutOfSync { get; }

    public ChunkSet Dirty => _set;

    public ulong EventsCleared => _header?.EventsCleared ?? ulong.MaxValue;

    public bool OnDisk => _image is not null;

    /// <summary>The bitmap's header as last composed; null without a bitmap on disk.</summary>
    public BitmapHeader? Header => _header;

    /// <summary>Returns once writes into these sync sectors may start.</summary>
    public ValueTask BeginAsync(long sector, long count)
    {
        long first = sector / ChunkSectors, last = (sector + count - 1) / ChunkSectors;
        return Count(first, last) ? default : BeginAsync(sector, count, first, last);
    }

    private async ValueTask BeginAsync(long sector, long count, long first, long last)
    {
        try
        {
            await _io.WaitAsync().ConfigureAwait(false);
            try
            {
                await SetAsync(first, last).ConfigureAwait(false);
            }
            finally
            {
                _io.Release();
            }
        }
        catch
        {
            End(sector, count);
            throw;
        }
    }

    /// <summary>The writes have completed on all members, or those that failed are ejected.</summary>
    public void End(long sector, long count)
    {
        lock (_gate)
        {
            for (var chunk = sector / ChunkSectors; chunk <= (sector + count - 1) / ChunkSectors; chunk++) _writes[chunk]--;
            _underWay--;
        }
    }

    /// <summary>Takes back the bits of chunks that rest, and marks the array clean if none was written meanwhile.</summary>
    public async Task SettleAsync()
    {
        await _io.WaitAsync().ConfigureAwait(false);
        try
        {
            long begun;
            var resting = new List<long>();
            IMemberDevice[] lagging = [.. _metadata.Members.Where(member => member.Writable && member.Device.Lags).Select(member => member.Device)];
            lock (_gate)
            {
                begun = _begun;
                for (var chunk = _set.Next(0); chunk >= 0; chunk = _set.Next(chunk + 1))
                    if (_writes[chunk] == 0 && !OutOfSync[chunk]) resting.Add(chunk);
                if (_underWay > 0 && resting.Count == 0) return;
                if (lagging.Length > 0 && _round is null)
                {
                    _rested = new ChunkSet(_set.Size);
                    foreach (var chunk in resting) _rested[chunk] = true;
                }
            }

            if (_metadata.ResyncOffset == MdSuperblock.Clean && (resting.Count == 0 || _metadata.Degraded)) return;
            await _metadata.FlushAsync().ConfigureAwait(false);
            var ended = EndRound(lagging);
            if (lagging.Length > 0 && ended is null) resting.Clear();
            bool quiet;
            lock (_gate)
            {
                quiet = begun == _begun && _underWay == 0;
                // A chunk written since the list was made is not covered by the flush; without further ado all wait for the next round.
                if (!quiet && lagging.Length == 0) return;
                if (quiet) _active &= OutOfSync.Next(0) >= 0;
                if (lagging.Length > 0) resting.RemoveAll(chunk => !_rested![chunk]);
                if (!_metadata.Degraded)
                    foreach (var chunk in resting) Mark(chunk, false);
            }

            if (!_metadata.Degraded && resting.Count > 0 && _image is not null)
            {
                await WriteImageAsync(resting.Prepend(-1), ended?.Events ?? _metadata.Events).ConfigureAwait(false);
            }

            if (quiet && OutOfSync.Next(0) < 0 && _metadata.ResyncOffset != MdSuperblock.Clean)
                await _metadata.ChangeAsync(() => _metadata.ResyncOffset = MdSuperblock.Clean).ConfigureAwait(false);
        }
        finally
        {
            _io.Release();
        }
    }

    /// <summary>No member of before these events is taken back by the bitmap; durable with the next update of the metadata.</summary>
    public async Task ForgetBeforeAsync(ulong events)
    {
        if (_header is null) return;
        await _imageIo.WaitAsync().ConfigureAwait(false);
        try
        {
            _header = _header with { EventsCleared = events };
        }
        finally
        {
            _imageIo.Release();
        }
    }

    /// <summary>Called by the metadata before each update: the bitmap must never look older than the superblocks.</summary>
    public async Task StampAsync(IReadOnlyList<ArrayMember> members, ulong events)
    {
        if (_image is null) return;
        await _imageIo.WaitAsync().ConfigureAwait(false);
        try
        {
            _header = _header! with { Events = events, State = 0 };
            _header.Write(_image);
            await FanOut.RunAsync(members, member => member.Device.WriteAsync(Place(member), _image.AsMemory(0, 512))).ConfigureAwait(false);
        }
        finally
        {
            _imageIo.Release();
        }
    }

    /// <summary>
    /// Makes the bits durable on a member, all but the first sector: that one holds the header, which makes the bitmap valid, and follows
    /// with the next update of the metadata.
    /// </summary>
    public async Task CopyBitsAsync(ArrayMember member)
    {
        if (_image is null) return;
        await _imageIo.WaitAsync().ConfigureAwait(false);
        try
        {
            if (_image.Length > 512) await member.Device.WriteAsync(Place(member) + 512, _image.AsMemory(512)).ConfigureAwait(false);
        }
        finally
        {
            _imageIo.Release();
        }

        await member.Device.FlushAsync().ConfigureAwait(false);
    }

    public void Dispose()
    {
        _io.Dispose();
        _imageIo.Dispose();
    }

    // Null: there is none to end. A member that came later, or left, makes the round void: it may lack what rested before.
    private Round? EndRound(IMemberDevice[] lagging)
    {
        var round = _round;
        if (lagging.Length == 0 || _metadata.Degraded || (round is not null && !round.Lagging.SequenceEqual(lagging)))
        {
            _round = null;
            return null;
        }

        if (round is null)
        {
            _round = new Round(lagging, Task.WhenAll(lagging.Select(device => device.DurableAsync())), _metadata.Events);
            return null;
        }

        if (!round.Durable.IsCompleted) return null;
        _round = null;
        return round.Durable.IsCompletedSuccessfully ? round : null;
    }

    // A bitmap write that fails shows up again as a metadata or data write that fails, which ejects the member.
    private static long Place(ArrayMember member) => MdSuperblockCodec.ByteOffset + member.Superblock.BitmapOffset * 512L;

    private bool Count(long first, long last)
    {
        lock (_gate)
        {
            var ready = _active;
            for (var chunk = first; chunk <= last; chunk++)
            {
                _writes[chunk]++;
                _rested?[chunk] = false;
                ready &= _set[chunk];
            }

            _underWay++;
            _begun++;
            return ready;
        }
    }

    private async Task SetAsync(long first, long last)
    {
        var added = new List<long>();
        for (var chunk = first; chunk <= last; chunk++)
            if (!_set[chunk]) added.Add(chunk);
        if (added.Count > 0 && _image is not null)
        {
            lock (_gate)
                foreach (var chunk in added) MarkImage(chunk, true);
            await WriteImageAsync(added).ConfigureAwait(false);
        }

        if (!_active) await MarkDirtyAsync().ConfigureAwait(false);
        else if (added.Count > 0 && _image is not null) await _metadata.FlushAsync().ConfigureAwait(false);
        foreach (var chunk in added) _set[chunk] = true;
        _active = true;
    }

    // With a partial parity log 0 means: the logs name all that is uncertain. While a resync is due another value stands there.
    private async Task MarkDirtyAsync()
    {
        var resyncs = _metadata.Log is not null && _metadata.ResyncOffset is not (0 or MdSuperblock.Clean);
        if (resyncs && OutOfSync.Next(0) < 0) await _metadata.FlushAsync().ConfigureAwait(false); // what the resync repaired
        await _metadata.ChangeAsync(() =>
        {
            if (!resyncs || OutOfSync.Next(0) < 0) _metadata.ResyncOffset = 0;
        }).ConfigureAwait(false);
    }

    private async Task WriteImageAsync(IEnumerable<long> chunks, ulong? cleared = null)
    {
        var pages = chunks.Select(chunk => chunk < 0 ? 0 : (BitmapHeader.Bytes + chunk / 8) / PageBytes).Distinct().ToArray();
        var members = _metadata.Members.Where(member => member.Writable).ToArray();
        List<(ArrayMember, IOException)> failures;
        await _imageIo.WaitAsync().ConfigureAwait(false);
        try
        {
            if (cleared is { } events)
            {
                _header = _header! with { EventsCleared = events };
                _header.Write(_image);
            }

            failures = await FanOut.RunAsync(members, async member =>
            {
                foreach (var page in pages)
                {
                    var start = (int)page * PageBytes;
                    await member.Device.WriteAsync(Place(member) + start, _image.AsMemory(start, Math.Min(PageBytes, _image!.Length - start))).ConfigureAwait(false);
                }
            }).ConfigureAwait(false);
        }
        finally
        {
            _imageIo.Release();
        }

        foreach (var (member, error) in failures) await _metadata.FailAsync(member, $"bitmap could not be written: {error.Message}").ConfigureAwait(false);
    }

    private void Mark(long chunk, bool value)
    {
        _set[chunk] = value;
        if (_image is not null) MarkImage(chunk, value);
    }

    private void MarkImage(long chunk, bool value)
    {
        ref var cell = ref _image![BitmapHeader.Bytes + chunk / 8];
        var bit = (byte)(1 << (int)(chunk & 7));
        cell = value ? (byte)(cell | bit) : (byte)(cell & ~bit);
    }
}
