using Evenkeel.Raid.Devices;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>One mains for all disks: it goes off at the n-th write or flush.</summary>
internal sealed class PowerSupply(int seed, long cutAt = long.MaxValue)
{
    private readonly Lock _gate = new();

    public Random Chance { get; } = new(seed);

    public long Steps { get; private set; }

    public bool IsOff { get; private set; }

    public bool Step()
    {
        // Disks work at the same time.
        lock (_gate)
        {
            if (++Steps >= cutAt) IsOff = true;
            return !IsOff;
        }
    }
}

/// <summary>
/// A disk with a volatile cache. Until a flush, each written sector may survive a power cut in any version since the last flush, each
/// on its own: writes are dropped, torn and reordered. It can also fail reads, writes and flushes, and lie.
/// </summary>
internal sealed class SimulatedDisk(PowerSupply power, int bytes, string name) : IMemberDevice
{
    private static readonly byte[] Zeros = new byte[512];
    private readonly Dictionary<long, byte[]> _durable = [];
    private readonly Dictionary<long, List<byte[]>> _cache = [];
    // A flush and a write may come at the same time: none is lost between them.
    private readonly Lock _gate = new();

    public string Name => name;

    public long Length => bytes;

    public Func<long, bool> FailsRead { get; set; } = _ => false;

    public bool FailsWrites { get; set; }

    public bool FailsFlushes { get; set; }

    public ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        if (power.IsOff) throw new IOException("no power");
        using var held = _gate.EnterScope();
        for (var at = 0; at < buffer.Length; at += 512)
        {
            var sector = (offset + at) / 512;
            if (FailsRead(sector)) throw new IOException($"{name}: sector {sector} is unreadable");
            Current(sector).CopyTo(buffer.Span[at..]);
        }

        return default;
    }

    public ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        if (power.IsOff) throw new IOException("no power");
        if (FailsWrites) throw new IOException($"{name}: write error");
        using var held = _gate.EnterScope();
        var lasts = power.Step();
        for (var at = 0; at < buffer.Length; at += 512)
        {
            var sector = (offset + at) / 512;
            if (!_cache.TryGetValue(sector, out var versions)) _cache[sector] = versions = [];
            versions.Add(buffer.Span.Slice(at, 512).ToArray());
            if (FailsRead(sector)) FailsRead = Without(FailsRead, sector);
        }

        return lasts ? default : throw new IOException("power cut");
    }

    public ValueTask FlushAsync()
    {
        if (power.IsOff || !power.Step()) throw new IOException("power cut");
        if (FailsFlushes) throw new IOException($"{name}: flush error");
        using var held = _gate.EnterScope();
        foreach (var (sector, versions) in _cache) _durable[sector] = versions[^1];
        _cache.Clear();
        return default;
    }

    /// <summary>The disk as it comes up after the cut.</summary>
    public SimulatedDisk Restart(PowerSupply next)
    {
        var after = new SimulatedDisk(next, bytes, name);
        foreach (var (sector, content) in _durable) after._durable[sector] = content;
        foreach (var (sector, versions) in _cache)
        {
            var pick = next.Chance.Next(versions.Count + 1);
            if (pick < versions.Count) after._durable[sector] = versions[pick];
        }

        return after;
    }

    /// <summary>Silent corruption: what a lying disk returns.</summary>
    public void Corrupt(long sector)
    {
        using var held = _gate.EnterScope();
        var wrong = (byte[])Current(sector).Clone();
        wrong[17] ^= 0x40;
        _cache[sector] = [wrong];
    }

    public ValueTask DisposeAsync() => default;

    // Sectors are never changed in place: versions are shared between a disk and its successor.
    private byte[] Current(long sector) => _cache.TryGetValue(sector, out var versions) ? versions[^1] : _durable.GetValueOrDefault(sector, Zeros);

    // A sector that was written anew can be read again, as on a disk that reallocates it.
    private static Func<long, bool> Without(Func<long, bool> fails, long healed) => sector => sector != healed && fails(sector);
}
