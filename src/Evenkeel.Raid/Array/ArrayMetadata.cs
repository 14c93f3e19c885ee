using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;

namespace Evenkeel.Raid.Array;

/// <summary>
/// The members and the metadata that names them. A change is in force only once it is durable on every working member: a write that a
/// failed member lacks is acknowledged after, never before (else the failed one could come back as if nothing had happened).
/// </summary>
internal sealed class ArrayMetadata(ArrayGeometry geometry, ArrayOptions options) : IDisposable
{
    private readonly SemaphoreSlim _lock = new(1, 1);
    private readonly ArrayMember?[] _slots = new ArrayMember?[geometry.Members];
    private volatile ArrayMember[] _members = [];
    private readonly ArrayMember?[] _replacements = new ArrayMember?[geometry.Members];
    private long _flushesBegun;
    private long _flushesDone;

    public ArrayGeometry Geometry => geometry;

    public ArrayOptions Options => options;

    /// <summary>All devices that belong to the array; replaced, never changed, so that it may be walked at any time.</summary>
    public IReadOnlyList<ArrayMember> Members => _members;

    public IReadOnlyList<ArrayMember?> Slots => _slots;

    public IReadOnlyList<ArrayMember?> Replacements => _replacements;

    /// <summary>
    /// Whom a write of a slot's data goes to. The replacement is looked for first: one that takes over meanwhile is then met in one place
    /// or in both, and counts once; never in neither (<see cref="TakeOver"/>).
    /// </summary>
    public (ArrayMember? Member, ArrayMember? Replacement) HoldersOf(int slot)
    {
        var replacement = Volatile.Read(ref _replacements[slot]);
        var member = Volatile.Read(ref _slots[slot]);
        return (member, replacement == member ? null : replacement);
    }

    public ulong Events { get; set; }

    /// <summary>What is written as <c>resync_offset</c>.</summary>
    public ulong ResyncOffset { get; set; } = MdSuperblock.Clean;

    public WriteIntent? Intent { get; set; }

    /// <summary>RAID 5 may have one; see <see cref="PartialParity.PartialParityLog"/>.</summary>
    public PartialParity.PartialParityLog? Log { get; set; }

    /// <summary>Flushes are counted as they begin; a write that ended before the n-th began is durable once that is done.</summary>
    public long FlushesBegun => Interlocked.Read(ref _flushesBegun);

    /// <summary>The latest of the flushes that are done.</summary>
    public long FlushesDone => Interlocked.Read(ref _flushesDone);

    public bool Broken { get; private set; }

    /// <summary>Some slot lacks an up-to-date member.</summary>
    public bool Degraded => _slots.Any(member => member is not { State: MemberState.InSync });

    /// <summary>The sync chunks of some sync sectors; one for all while there are no books (RAID 0).</summary>
    public ChunkRange ChunksOf(long sector, long count) =>
        Intent is { } intent ? new ChunkRange(sector / intent.ChunkSectors, (sector + count - 1) / intent.ChunkSectors) : default;

    public IEnumerable<ArrayMember> Working => Members.Where(member => member.State != MemberState.Faulty);

    /// <summary>Runs a change of members or state, then makes it durable everywhere.</summary>
    public async Task ChangeAsync(Action change)
    {
        await _lock.WaitAsync().ConfigureAwait(false);
        try
        {
            change();
            await WriteAsync().ConfigureAwait(false);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Ejects a member; returns once that is durable.</summary>
    /// <exception cref="ArrayBrokenException">The array cannot live without it. Then nothing was changed on disk.</exception>
    public async Task FailAsync(ArrayMember member, string reason)
    {
        await _lock.WaitAsync().ConfigureAwait(false);
        try
        {
            if (member.State == MemberState.Faulty) return;
            Eject(member, reason);
            await WriteAsync().ConfigureAwait(false);
        }
        finally
        {
            _lock.Release();
        }
    }

    /// <summary>Flushes every member that holds data; one that cannot is ejected, never asked twice (its cache may be lost already).</summary>
    public async Task FlushAsync()
    {
        var turn = Interlocked.Increment(ref _flushesBegun);
        var members = Members.Where(member => member.Writable).ToArray();
        var failures = await FanOut.RunAsync(members, member => member.Device.FlushAsync()).ConfigureAwait(false);
        foreach (var (member, error) in failures) await FailAsync(member, $"flush failed: {error.Message}").ConfigureAwait(false);
        if (Broken) throw new ArrayBrokenException("The array is broken.");
        for (var done = FlushesDone; done < turn;) done = Interlocked.CompareExchange(ref _flushesDone, turn, done) is var seen && seen == done ? turn : seen;
    }

    public void Enlist(ArrayMember member) => _members = [.. _members, member];

    public void Forget(ArrayMember member)
    {
        Vacate(member);
        _members = [.. _members.Where(other => other != member)];
    }

    public void Place(ArrayMember member, int slot, bool replacement = false)
    {
        (member.Slot, member.IsReplacement) = (slot, replacement);
        (replacement ? _replacements : _slots)[slot] = member;
    }

    /// <summary>
    /// A replacement fills the slot that it was made for, and whom it replaces leaves it. Writes go on meanwhile: one that found the slot
    /// with neither of them would be lost.
    /// </summary>
    /// <returns>Who filled the slot.</returns>
    public ArrayMember? TakeOver(ArrayMember replacement)
    {
        var slot = replacement.Slot;
        var old = _slots[slot];
        Volatile.Write(ref _slots[slot], replacement);
        Volatile.Write(ref _replacements[slot], null);
        replacement.IsReplacement = false;
        if (old is not null) old.Slot = -1;
        return old;
    }

    public void Vacate(ArrayMember member)
    {
        if (member.Slot < 0) return;
        if (_slots[member.Slot] == member) _slots[member.Slot] = null;
        if (_replacements[member.Slot] == member) _replacements[member.Slot] = null;
        (member.Slot, member.IsReplacement) = (-1, false);
    }

    /// <summary>Whether all data could still be read if this member were gone.</summary>
    public bool Survives(ArrayMember? without)
    {
        bool Has(int slot) => _slots[slot] is { IsCurrent: true } member && member != without;
        if (geometry.HasParity || geometry.Level == RaidLevel.Raid0)
            return Enumerable.Range(0, geometry.Members).Count(slot => !Has(slot)) <= geometry.Parities;
        if (geometry.Level == RaidLevel.Raid1) return Enumerable.Range(0, geometry.Members).Any(Has);
        // The placement of copies repeats after as many chunks as there are members.
        return Enumerable.Range(0, geometry.Members).All(chunk =>
            Has(2 * chunk % geometry.Members) || Has((2 * chunk + 1) % geometry.Members));
    }

    public void Dispose() => _lock.Dispose();

    private void Eject(ArrayMember member, string reason)
    {
        if (member.State == MemberState.InSync && !member.IsReplacement && !Survives(member))
        {
            Broken = true;
            options.OnEvent(new ArrayEvent("ArrayBroken", member.Device.Name, reason));
            throw new ArrayBrokenException($"{member.Device.Name}: {reason}; RAID {(int)geometry.Level} does not survive its loss.");
        }

        member.State = MemberState.Faulty;
        Vacate(member);
        options.OnEvent(new ArrayEvent("Fail", member.Device.Name, reason));
        if (Degraded) options.OnEvent(new ArrayEvent("DegradedArray", null, $"{_slots.Count(slot => slot is null)} of {geometry.Members} slots are empty."));
    }

    // A member that cannot take the update is ejected, and the others are told in a further round.
    private async Task WriteAsync()
    {
        if (Broken) throw new ArrayBrokenException("The array is broken; its metadata stay as they were.");
        for (var round = 0; round <= Members.Count; round++)
        {
            Events++;
            var working = Working.ToArray();
            if (Intent is not null) await Intent.StampAsync(working, Events).ConfigureAwait(false);
            foreach (var member in Members) member.Superblock = Compose(member);
            var failures = await FanOut.RunAsync(working, async member =>
            {
                await member.Device.WriteAsync(MdSuperblockCodec.ByteOffset, MdSuperblockCodec.Write(member.Superblock)).ConfigureAwait(false);
                await member.Device.FlushAsync().ConfigureAwait(false);
            }).ConfigureAwait(false);
            if (failures.Count == 0) return;
            foreach (var (member, error) in failures)
                if (member.State != MemberState.Faulty) Eject(member, $"metadata could not be written: {error.Message}");
        }
    }

    private MdSuperblock Compose(ArrayMember member)
    {
        var features = member.Superblock.Features & ~(MdFeatures.RecoveryOffset | MdFeatures.RecoveryBitmap | MdFeatures.Replacement);
        if (member.State == MemberState.Rebuilding) features |= MdFeatures.RecoveryOffset | (member.StaleByBitmap ? MdFeatures.RecoveryBitmap : 0);
        if (member.IsReplacement) features |= MdFeatures.Replacement;
        var roles = member.Superblock.Roles.ToBuilder();
        for (var number = 0; number < roles.Count; number++) roles[number] = RoleOf((uint)number);
        return member.Superblock with
        {
            Features = features,
            Size = geometry.Level == RaidLevel.Raid0 ? 0 : (ulong)geometry.MemberSectors,
            Events = Events,
            ResyncOffset = ResyncOffset,
            Updated = options.Time.GetUtcNow(),
            Roles = roles.ToImmutable(),
            RecoveryOffset = (features & MdFeatures.RecoveryOffset) != 0 && !member.StaleByBitmap ? (ulong)RebuiltSectors(member) : 0,
            CorrectedReads = (uint)member.CorrectedReads,
        };
    }

    private ushort RoleOf(uint number)
    {
        var member = Members.FirstOrDefault(member => member.Superblock.DeviceNumber == number);
        return member is { State: MemberState.Faulty } ? MdSuperblock.FaultyRole
            : member is { Slot: >= 0 } ? (ushort)member.Slot
            : MdSuperblock.SpareRole;
    }

    // How far the rebuild has surely come, in the member's own sectors.
    private long RebuiltSectors(ArrayMember member)
    {
        var sector = Math.Min(member.Checkpoint * Intent!.ChunkSectors, geometry.SyncSectors);
        return geometry.Level == RaidLevel.Raid10 ? sector / geometry.ChunkSectors * 2 / geometry.Members * geometry.ChunkSectors : sector;
    }
}
