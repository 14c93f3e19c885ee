using Evenkeel.Raid.Devices;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>
/// A disk whose calls take their time and overtake each other. What is written is what the buffer held when the call began, as on a
/// disk that copied it then. Two writes of one place under way at once are noted: either could end up on the disk.
/// </summary>
internal sealed class BusyDisk(SimulatedDisk disk, int seed) : IMemberDevice
{
    private readonly Random _chance = new(seed);
    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly List<(long From, long To)> _writing = [];

    public string Name => disk.Name;

    public long Length => disk.Length;

    public List<string> Collisions { get; } = [];

    public async ValueTask ReadAsync(long offset, Memory<byte> buffer)
    {
        await DawdleAsync();
        await OneByOneAsync(() => disk.ReadAsync(offset, buffer));
    }

    public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
    {
        var (bytes, place) = (buffer.ToArray(), (From: offset, To: offset + buffer.Length));
        lock (_gate)
        {
            foreach (var other in _writing)
                if (place.From < other.To && other.From < place.To) Collisions.Add($"{Name}: bytes {place} while {other} are being written");
            _writing.Add(place);
        }

        await DawdleAsync();
        await OneByOneAsync(() =>
        {
            lock (_gate) _writing.Remove(place);
            return disk.WriteAsync(offset, bytes);
        });
    }

    public async ValueTask FlushAsync()
    {
        await DawdleAsync();
        await OneByOneAsync(disk.FlushAsync);
    }

    /// <summary>Changes the disk's faults while calls are under way.</summary>
    public Task AlterAsync(Action<SimulatedDisk> change) => OneByOneAsync(() =>
    {
        change(disk);
        return default;
    });

    public ValueTask DisposeAsync() => default;

    private async Task OneByOneAsync(Func<ValueTask> call)
    {
        await _turn.WaitAsync();
        try
        {
            await call();
        }
        finally
        {
            _turn.Release();
        }
    }

    private async Task DawdleAsync()
    {
        int turns;
        lock (_gate) turns = _chance.Next(1, 12);
        for (; turns > 0; turns--) await Task.Yield();
    }
}
