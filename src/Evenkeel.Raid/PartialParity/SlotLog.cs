using Evenkeel.Raid.Array;

namespace Evenkeel.Raid.PartialParity;

/// <summary>One member's log. The first writer of a batch writes the header for all that wait; the last to leave wakes the next batch.</summary>
internal sealed class SlotLog(ArrayMetadata metadata, int slot, uint signature)
{
    private readonly Lock _gate = new();
    private readonly Queue<Waiter> _waiting = [];
    private bool _busy;
    private int _open;
    private ulong _generation;
    private long _settledBy; // the first flush that makes the last batch durable

    private sealed record Waiter(IReadOnlyList<LogEntry> Entries, ReadOnlyMemory<byte> Partial)
    {
        /// <summary>True: lead the next batch. False: the entries are durable.</summary>
        public TaskCompletionSource<bool> Turn { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    public async Task EnterAsync(IReadOnlyList<LogEntry> entries, ReadOnlyMemory<byte> partial)
    {
        var own = new Waiter(entries, partial);
        bool leads;
        lock (_gate)
        {
            leads = !_busy;
            if (leads) _busy = true;
            else _waiting.Enqueue(own);
        }

        if (!leads) leads = await own.Turn.Task.ConfigureAwait(false);
        if (leads) await LeadAsync(own).ConfigureAwait(false);
    }

    public void Leave()
    {
        lock (_gate)
        {
            if (--_open > 0) return;
            _settledBy = metadata.FlushesBegun + 1;
            PassOn();
        }
    }

    private async Task LeadAsync(Waiter own)
    {
        var batch = TakeBatch(own);
        try
        {
            var (member, replacement) = metadata.HoldersOf(slot);
            if (member is { Writable: true } || replacement is { Writable: true })
            {
                if (metadata.FlushesDone < _settledBy) await metadata.FlushAsync().ConfigureAwait(false);
                var image = Compose(batch);
                await WriteAsync(member, image).ConfigureAwait(false);
                await WriteAsync(replacement, image).ConfigureAwait(false);
            }
        }
        catch (Exception e)
        {
            foreach (var waiter in batch) waiter.Turn.TrySetException(e);
            _ = own.Turn.Task.Exception; // seen: it is thrown here
            lock (_gate)
            {
                _open = 0;
                PassOn();
            }

            throw;
        }

        foreach (var waiter in batch) waiter.Turn.TrySetResult(false);
    }

    private List<Waiter> TakeBatch(Waiter own)
    {
        List<Waiter> batch = [own];
        var room = ((metadata.Slots[slot] ?? metadata.Replacements[slot])?.Superblock.PartialParitySectors ?? 0) * 512 - LogHeader.Bytes - own.Partial.Length;
        var entries = own.Entries.Count;
        lock (_gate)
        {
            while (_waiting.TryPeek(out var next) && next.Partial.Length <= room && entries + next.Entries.Count <= LogHeader.MaximumEntries)
            {
                batch.Add(_waiting.Dequeue());
                (room, entries) = (room - next.Partial.Length, entries + next.Entries.Count);
            }

            _open = batch.Count;
        }

        return batch;
    }

    private byte[] Compose(List<Waiter> batch)
    {
        var image = new byte[LogHeader.Bytes + batch.Sum(waiter => waiter.Partial.Length)];
        LogHeader.Write(image, signature, ++_generation, [.. batch.SelectMany(waiter => waiter.Entries)]);
        var at = LogHeader.Bytes;
        foreach (var waiter in batch)
        {
            waiter.Partial.CopyTo(image.AsMemory(at));
            at += waiter.Partial.Length;
        }

        return image;
    }

    // A member that cannot take its log is ejected: its rows have no parity then that could be wrong.
    private async Task WriteAsync(ArrayMember? member, byte[] image)
    {
        if (member is not { Writable: true }) return;
        try
        {
            await member.Device.WriteAsync(LogPlace.Of(member.Superblock), image).ConfigureAwait(false);
            await member.Device.FlushAsync().ConfigureAwait(false);
        }
        catch (IOException e)
        {
            await metadata.FailAsync(member, $"partial parity log could not be written: {e.Message}").ConfigureAwait(false);
        }
    }

    private void PassOn()
    {
        if (_waiting.TryDequeue(out var next)) next.Turn.TrySetResult(true);
        else _busy = false;
    }
}
