namespace Evenkeel.Raid.Array;

/// <summary>Resync, rebuild and scrub: long walks over sync space, region by region under the engines' locks, beside normal traffic.</summary>
public sealed partial class RaidArray
{
    private static readonly TimeSpan CheckpointEvery = TimeSpan.FromSeconds(5);

    /// <summary>Makes redundancy agree with the data wherever an unclean stop may have left it otherwise. Done chunks stay done (bitmap).</summary>
    public async Task ResyncAsync(IProgress<SyncProgress>? progress = null, CancellationToken stop = default)
    {
        if (_metadata.Intent is not { } intent || intent.OutOfSync.Next(0) < 0) return;
        Raise("ResyncStarted", null, $"{intent.OutOfSync.Count} of {intent.Chunks} chunks");
        await WalkAsync(() => intent.OutOfSync, SyncKind.Repair, progress, SettleAsync, chunk => intent.OutOfSync[chunk] = false, stop).ConfigureAwait(false);
        await SettleAsync().ConfigureAwait(false);
        Raise("ResyncFinished", null, "All redundancy agrees with the data.");
    }

    /// <summary>Fills every member that is being rebuilt; returns when none is left. Progress is kept on the member itself every few seconds.</summary>
    /// <exception cref="IOException">A source cannot be read; the member stays half built and a later call goes on from there.</exception>
    public async Task RebuildAsync(IProgress<SyncProgress>? progress = null, CancellationToken stop = default)
    {
        while (true)
        {
            ArrayMember[] rebuilding = [];
            // Not while one is being given its slot: what is copied for it before goes nowhere, and would count as done.
            await AdministerAsync(() =>
            {
                rebuilding = [.. Members.Where(member => member.State == MemberState.Rebuilding)];
                return Task.CompletedTask;
            }).ConfigureAwait(false);
            if (rebuilding.Length == 0) return;
            var left = new ChunkSet(_metadata.Intent!.Chunks);
            foreach (var member in rebuilding) left.Add(member.Stale!);
            // Of members that have all left meanwhile nothing is left to do.
            var nothing = new ChunkSet(0);
            await WalkAsync(() => rebuilding.Any(member => member.State == MemberState.Rebuilding) ? left : nothing, SyncKind.Rebuild, progress, CheckpointAsync, chunk =>
            {
                left[chunk] = false;
                foreach (var member in rebuilding)
                    if (member.Stale is { } stale) stale[chunk] = false;
            }, stop).ConfigureAwait(false);
            await _metadata.FlushAsync().ConfigureAwait(false);
            await AdministerAsync(() => ChangeAsync(() =>
            {
                foreach (var member in rebuilding) Promote(member);
            })).ConfigureAwait(false);
            foreach (var member in rebuilding)
                if (member.State == MemberState.InSync) Raise("SpareActive", member.Device, $"fills slot {member.Slot}");
            await SettleAsync().ConfigureAwait(false);
        }
    }

    /// <summary>Compares all redundancy with the data; with <paramref name="repair"/> the redundancy is rewritten where it disagrees.</summary>
    /// <returns>Sectors that disagreed, in md's unit (<c>mismatch_cnt</c>).</returns>
    public Task<long> ScrubAsync(bool repair, IProgress<SyncProgress>? progress = null, CancellationToken stop = default) =>
        ResumeScrubAsync(repair, default, null, progress, stop);

    /// <summary>A scrub that goes on where an earlier one stopped, and says how far it is.</summary>
    /// <param name="repair">Whether to rewrite.</param>
    /// <param name="from">Where the earlier one stopped.</param>
    /// <param name="remember">Is told every few seconds, and at the end of a stopped scrub, what is durably done.</param>
    /// <param name="progress">Hears of every chunk.</param>
    /// <param name="stop">Ends it.</param>
    /// <returns>Sectors that disagreed, those of the earlier part included.</returns>
    public async Task<long> ResumeScrubAsync(
        bool repair, ScrubPoint from, Action<ScrubPoint>? remember, IProgress<SyncProgress>? progress = null, CancellationToken stop = default)
    {
        if (_metadata.Intent is not { } intent) return 0;
        var all = new ChunkSet(intent.Chunks);
        var first = Math.Clamp(from.Sector / intent.ChunkSectors, 0, intent.Chunks);
        all.AddFrom(first);
        var (reached, seen) = (first * intent.ChunkSectors, from.Mismatches);
        long mismatches;
        try
        {
            mismatches = await WalkAsync(() => all, repair ? SyncKind.Repair : SyncKind.Check, new Relay(done =>
            {
                (reached, seen) = (done.DoneBytes / 512, done.MismatchedSectors);
                progress?.Report(done);
            }), RememberAsync, chunk => all[chunk] = false, stop, first, from.Mismatches).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await RememberAsync().ConfigureAwait(false);
            throw;
        }

        if (repair) await FlushAsync().ConfigureAwait(false);
        async Task RememberAsync()
        {
            if (remember is null || IsBroken) return;
            if (repair) await FlushAsync().ConfigureAwait(false);
            remember(new ScrubPoint(reached, seen));
        }

        Raise("ScrubFinished", null, $"{mismatches} sectors disagreed{(repair ? " and were rewritten" : "")}");
        return mismatches;
    }

    private void Promote(ArrayMember member)
    {
        if (member.State != MemberState.Rebuilding) return;
        // In sync before it has the slot: at no moment may it look as if nobody there took writes.
        (member.State, member.Stale, member.StaleByBitmap) = (MemberState.InSync, null, false);
        if (member.IsReplacement && _metadata.TakeOver(member) is { } old) old.State = MemberState.Faulty;
    }

    // First what has been copied is made durable, then the superblock may say so. Any other update repeats the last checkpoint. Called
    // between two chunks, so no chunk becomes done after the flush began.
    private async Task CheckpointAsync()
    {
        await _metadata.FlushAsync().ConfigureAwait(false);
        await ChangeAsync(() =>
        {
            foreach (var member in Members)
                if (member.Stale is { } stale) member.Checkpoint = stale.Next(0) is >= 0 and var first ? first : stale.Size;
        }).ConfigureAwait(false);
    }

    private async Task<long> WalkAsync(
        Func<ChunkSet> set, SyncKind kind, IProgress<SyncProgress>? progress, Func<Task> checkpoint, Action<long> done, CancellationToken stop,
        long finished = 0, long mismatches = 0)
    {
        var time = _metadata.Options.Time;
        long perChunk = _metadata.Intent!.ChunkSectors, total = set().Count + finished;
        var pace = new SyncPace(time);
        var checkpointed = time.GetTimestamp();
        for (var chunk = set().Next(0); chunk >= 0; chunk = set().Next(chunk + 1))
        {
            var end = Math.Min((chunk + 1) * perChunk, Geometry.SyncSectors);
            for (var sector = chunk * perChunk; sector < end;)
            {
                stop.ThrowIfCancellationRequested();
                var count = Math.Min(end - sector, _engine.SyncStep - sector % _engine.SyncStep);
                // Before the region is held: whoever writes there must not wait for a slow line.
                if (kind == SyncKind.Rebuild)
                    foreach (var member in Members)
                        if (member.State == MemberState.Rebuilding) await member.Device.RoomAsync(stop).ConfigureAwait(false);
                mismatches += await _engine.SyncAsync(sector, count, kind).ConfigureAwait(false);
                sector += count;
            }

            done(chunk);
            finished++;
            progress?.Report(new SyncProgress(finished * perChunk * 512, total * perChunk * 512, mismatches));
            await pace.KeepAsync(perChunk * 512, SyncBytesPerSecond, stop).ConfigureAwait(false);
            if (time.GetElapsedTime(checkpointed) < CheckpointEvery) continue;
            await checkpoint().ConfigureAwait(false);
            checkpointed = time.GetTimestamp();
        }

        return mismatches;
    }

    private sealed class Relay(Action<SyncProgress> report) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => report(value);
    }
}
