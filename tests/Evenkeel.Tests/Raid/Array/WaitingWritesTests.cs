using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>Writes of one row that meet while another is under way.</summary>
public sealed class WaitingWritesTests
{
    private const int Chunk = 16384, Piece = 4096;

    [Theory]
    [InlineData(RaidLevel.Raid5, 4)]
    [InlineData(RaidLevel.Raid6, 5)]
    public async Task Write_OfAWholeRowInPiecesThatWait_ReadsNothingAndWritesEachMemberOnce(RaidLevel level, int members)
    {
        var (array, disks) = await CreateAsync(level, members);
        var row = array.Geometry.DataMembers * Chunk;
        var content = new byte[row];
        new Random(1).NextBytes(content);
        var first = await HoldAsync(array, disks);
        // In any order: what adjoins is found from both ends.
        var order = Enumerable.Range(0, row / Piece).ToArray();
        new Random(2).Shuffle(order);
        var waiting = order.Select(piece => array.WriteAsync(piece * Piece, content.AsMemory(piece * Piece, Piece)).AsTask()).ToList();
        var before = disks.Select(disk => disk.Calls).ToList();
        disks.ForEach(disk => disk.Release());
        await Task.WhenAll(waiting.Append(first));
        Assert.All(disks.Zip(before), pair => Assert.Equal((pair.Second.Reads, pair.Second.Writes + 1), pair.First.Calls));
        await AssertHoldsAsync(array, content);
    }

    [Fact]
    public async Task Write_ThatOverlapsOneThatWaits_IsWholeBeforeOrAfterIt()
    {
        var (array, disks) = await CreateAsync(RaidLevel.Raid5, 4);
        var first = await HoldAsync(array, disks);
        // Two of the same place, and one that adjoins both.
        Task[] waiting = [Stamped(0, 2 * Piece, 1), Stamped(Piece, 2 * Piece, 2), Stamped(3 * Piece, Piece, 3)];
        disks.ForEach(disk => disk.Release());
        await Task.WhenAll(waiting.Append(first));
        var content = new byte[4 * Piece];
        await array.ReadAsync(0, content);
        Assert.Equal([1, 2, 2, 3], content.Chunk(Piece).Select(piece => (int)Assert.Single(piece.Distinct())));
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));

        Task Stamped(int at, int length, byte stamp)
        {
            var bytes = new byte[length];
            bytes.AsSpan().Fill(stamp);
            return array.WriteAsync(at, bytes).AsTask();
        }
    }

    [Fact]
    public async Task Write_ManyAtOnceOverEachOther_EverySectorIsOfOneOfThem_AndParityIsRight()
    {
        var (array, _) = await CreateAsync(RaidLevel.Raid6, 5);
        var random = new Random(3);
        var writes = Enumerable.Range(1, 200).Select(number => (Number: (byte)number, At: random.Next(256) * 512, Length: random.Next(1, 40) * 512)).ToList();
        await Parallel.ForEachAsync(writes, TestContext.Current.CancellationToken, async (write, _) =>
        {
            var bytes = new byte[write.Length];
            bytes.AsSpan().Fill(write.Number);
            await array.WriteAsync(write.At, bytes);
        });
        var content = new byte[400 * 512];
        await array.ReadAsync(0, content);
        for (var sector = 0; sector < 400; sector++)
        {
            var number = Assert.Single(content.AsSpan(sector * 512, 512).ToArray().Distinct());
            var possible = writes.Where(write => write.At <= sector * 512 && sector * 512 < write.At + write.Length).Select(write => write.Number).ToList();
            Assert.Contains(number, possible.DefaultIfEmpty((byte)0));
        }

        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Write_ThatAnotherDidForIt_FailsWithIt()
    {
        var (array, disks) = await CreateAsync(RaidLevel.Raid5, 4);
        var first = await HoldAsync(array, disks);
        var waiting = Enumerable.Range(0, 4).Select(piece => array.WriteAsync(piece * Piece, new byte[Piece]).AsTask()).ToList();
        foreach (var disk in disks) disk.Fails = true;
        disks.ForEach(disk => disk.Release());
        await Assert.ThrowsAnyAsync<IOException>(() => first);
        foreach (var write in waiting) await Assert.ThrowsAnyAsync<IOException>(() => write);
    }

    private static async Task<(RaidArray Array, List<GatedDisk> Disks)> CreateAsync(RaidLevel level, int members)
    {
        var power = new PowerSupply(1);
        var disks = Enumerable.Range(0, members).Select(i => new GatedDisk(new SimulatedDisk(power, Bench.DiskBytes, $"disk{i}"))).ToList();
        var definition = new ArrayDefinition { Level = level, Name = "row", Slots = members, ChunkBytes = Chunk, MemberBytes = Bench.DataBytes, AssumeClean = true };
        var array = await ArrayCreation.CreateAsync(definition, [.. disks]);
        // The chunk's bit is set: what follows are writes of data alone.
        await array.WriteAsync(0, new byte[Piece]);
        return (array, disks);
    }

    /// <summary>A write of the first row that has the lock and waits for its disks.</summary>
    private static async Task<Task> HoldAsync(RaidArray array, List<GatedDisk> disks)
    {
        disks.ForEach(disk => disk.Hold());
        var first = array.WriteAsync(0, new byte[Piece]).AsTask();
        await Task.WhenAny(disks.Select(disk => disk.Held));
        return first;
    }

    private static async Task AssertHoldsAsync(RaidArray array, byte[] content)
    {
        var read = new byte[content.Length];
        await array.ReadAsync(0, read);
        Assert.True(content.AsSpan().SequenceEqual(read));
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
    }

    /// <summary>A disk whose writes can be held back, and that counts calls when they begin.</summary>
    private sealed class GatedDisk(SimulatedDisk disk) : IMemberDevice
    {
        private readonly Lock _oneByOne = new();
        private TaskCompletionSource _gate = Open(), _held = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private int _reads, _writes;

        public string Name => disk.Name;

        public long Length => disk.Length;

        public bool Fails { get; set; }

        public (int Reads, int Writes) Calls => (_reads, _writes);

        /// <summary>A write is being held back.</summary>
        public Task Held => _held.Task;

        public void Hold() => (_gate, _held) = (new(TaskCreationOptions.RunContinuationsAsynchronously), new(TaskCreationOptions.RunContinuationsAsynchronously));

        public void Release() => _gate.TrySetResult();

        public ValueTask ReadAsync(long offset, Memory<byte> buffer)
        {
            Interlocked.Increment(ref _reads);
            lock (_oneByOne) return disk.ReadAsync(offset, buffer);
        }

        public async ValueTask WriteAsync(long offset, ReadOnlyMemory<byte> buffer)
        {
            Interlocked.Increment(ref _writes);
            _held.TrySetResult();
            await _gate.Task;
            if (Fails) throw new IOException("fails as told");
            lock (_oneByOne) disk.WriteAsync(offset, buffer).AsTask().Wait();
        }

        public ValueTask FlushAsync()
        {
            lock (_oneByOne) return disk.FlushAsync();
        }

        public ValueTask DisposeAsync() => default;

        private static TaskCompletionSource Open()
        {
            var open = new TaskCompletionSource();
            open.SetResult();
            return open;
        }
    }
}
