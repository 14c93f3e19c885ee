using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>Devices come and go. One such operation at a time; reads and writes go on meanwhile.</summary>
public sealed partial class RaidArray
{
    /// <summary>Takes a member out of use at once; a spare, if there is one, takes its slot.</summary>
    /// <exception cref="ArrayBrokenException">The data would be lost; then nothing was done.</exception>
    public Task FailAsync(ArrayMember member, string reason = "failed by the operator") => AdministerAsync(async () =>
    {
        if (member.State == MemberState.InSync && !member.IsReplacement && !_metadata.Survives(member))
            throw new ArrayBrokenException($"{member.Device.Name} cannot be failed: RAID {(int)Geometry.Level} does not survive its loss.");
        await _metadata.FailAsync(member, reason).ConfigureAwait(false);
        await FillSlotsAsync().ConfigureAwait(false);
    });

    /// <summary>Forgets a faulty member or a spare, and closes its device.</summary>
    /// <exception cref="InvalidOperationException">The member is in use: fail it first.</exception>
    public Task RemoveAsync(ArrayMember member) => AdministerAsync(async () =>
    {
        if (member.State is not (MemberState.Faulty or MemberState.Spare))
            throw new InvalidOperationException($"{member.Device.Name} is in use; fail it before removing it.");
        await ChangeAsync(() => _metadata.Forget(member)).ConfigureAwait(false);
        await member.Device.DisposeAsync().ConfigureAwait(false);
    });

    /// <summary>
    /// Adds a device: one that was a member lately gets only what it missed (by the bitmap); another becomes a spare and, if a slot is
    /// empty, is rebuilt by the next <see cref="RebuildAsync"/>.
    /// </summary>
    /// <exception cref="ArgumentException">It is too small.</exception>
    public async Task<ArrayMember> AddAsync(IMemberDevice device)
    {
        ArrayMember? added = null;
        await AdministerAsync(async () =>
        {
            added = await ReturningMember.FindAsync(_metadata, Id, device).ConfigureAwait(false);
            if (added is not null)
            {
                var (slot, rebuilt) = (added.Slot, ReturningMember.RebuiltChunks(_metadata, added));
                added.Slot = -1;
                await _metadata.Intent!.CopyBitsAsync(added).ConfigureAwait(false);
                await ChangeAsync(() =>
                {
                    _metadata.Enlist(added);
                    added.Stale = new ChunkSet(_metadata.Intent.Chunks);
                    added.Stale.AddFrom(0);
                    added.Checkpoint = 0;
                    (added.State, added.StaleByBitmap) = (MemberState.Rebuilding, rebuilt is null);
                    _metadata.Place(added, slot);
                    // Only now, when every write that begins goes to it too: one that began before has set its bit.
                    var missed = new ChunkSet(_metadata.Intent.Chunks);
                    missed.Add(_metadata.Intent.Dirty);
                    if (rebuilt is { } from) missed.AddFrom(from);
                    added.Stale = missed;
                }).ConfigureAwait(false);
                Raise("RebuildStarted", device, $"re-added: {added.Stale!.Count} of {added.Stale.Size} chunks to copy");
                return;
            }

            added = NewMember.Create(_metadata, Id, Name, device);
            await ChangeAsync(() => _metadata.Enlist(added)).ConfigureAwait(false);
            await FillSlotsAsync().ConfigureAwait(false);
        }).ConfigureAwait(false);
        return added!;
    }

    /// <summary>Lets a spare take over from a working member, which serves until the spare has everything: redundancy is never less.</summary>
    /// <exception cref="InvalidOperationException">There is no spare, or the member fills no slot.</exception>
    public Task ReplaceAsync(ArrayMember member, ArrayMember? by = null) => AdministerAsync(async () =>
    {
        if (member.State != MemberState.InSync || member.IsReplacement) throw new InvalidOperationException($"{member.Device.Name} does not serve a slot.");
        if (_metadata.Replacements[member.Slot] is not null) throw new InvalidOperationException($"{member.Device.Name} is being replaced already.");
        var spare = Members.FirstOrDefault(candidate => candidate.State == MemberState.Spare && (by is null || candidate == by))
            ?? throw new InvalidOperationException("There is no spare to take over; add one first.");
        await StartRebuildAsync(spare, member.Slot, replacement: true).ConfigureAwait(false);
    });

    /// <summary>Gives empty slots to spares, as after every loss.</summary>
    internal Task UseSparesAsync() => AdministerAsync(FillSlotsAsync);

    private async Task FillSlotsAsync()
    {
        if (_metadata.Intent is null) return;
        for (var slot = 0; slot < Geometry.Members; slot++)
        {
            if (_metadata.Slots[slot] is not null) continue;
            if (_metadata.Replacements[slot] is { } replacement)
                await ChangeAsync(() =>
                {
                    // The replaced member died first: what has been copied counts as an ordinary rebuild.
                    _metadata.TakeOver(replacement);
                }).ConfigureAwait(false);
            else if (Members.FirstOrDefault(member => member.State == MemberState.Spare) is { } spare)
                await StartRebuildAsync(spare, slot, replacement: false).ConfigureAwait(false);
        }
    }

    private async Task StartRebuildAsync(ArrayMember spare, int slot, bool replacement)
    {
        await _metadata.Intent!.CopyBitsAsync(spare).ConfigureAwait(false);
        // Durable with the update that gives it the slot, and before it: a log from an earlier life must not be replayed.
        if (_metadata.Log is not null)
        {
            await PartialParity.LogPlace.ClearAsync(spare).ConfigureAwait(false);
            await spare.Device.FlushAsync().ConfigureAwait(false);
        }

        await ChangeAsync(() =>
        {
            spare.Stale = new ChunkSet(_metadata.Intent.Chunks);
            spare.Stale.AddFrom(0);
            spare.Checkpoint = 0;
            (spare.State, spare.StaleByBitmap) = (MemberState.Rebuilding, false);
            _metadata.Place(spare, slot, replacement);
        }).ConfigureAwait(false);
        Raise("RebuildStarted", spare.Device, replacement ? $"to take over slot {slot}" : $"to fill slot {slot}");
    }

    private async Task AdministerAsync(Func<Task> operation)
    {
        ObjectDisposedException.ThrowIf(_stopped, this);
        await _administration.WaitAsync().ConfigureAwait(false);
        try
        {
            await operation().ConfigureAwait(false);
        }
        finally
        {
            _administration.Release();
        }
    }
}
