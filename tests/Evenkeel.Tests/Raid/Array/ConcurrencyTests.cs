using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>Many things at once on one array: no two writes of one place may be under way on a member, or the older could win.</summary>
public sealed class ConcurrencyTests
{
    private const int Rounds = 60;

    [Theory]
    [InlineData(RaidLevel.Raid1, 3)]
    [InlineData(RaidLevel.Raid6, 5)]
    public async Task Write_BesideMetadataChanges_BitmapWritesTakeTurns(RaidLevel level, int members)
    {
        var (array, disks) = await CreateAsync(level, members);
        // Every round sets bits anew (after SettleAsync took them back) while members leave and return, each with updates of the header.
        await Task.WhenAll(WriteAsync(array, 1), WriteAsync(array, 2), SettleAsync(array), ComeAndGoAsync(array));
        await array.RebuildAsync(stop: TestContext.Current.CancellationToken);
        Assert.Empty(disks.SelectMany(disk => disk.Collisions));
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        await array.StopAsync();
        var again = await ArrayAssembly.OpenAsync([.. disks]);
        Assert.False(again.IsDirty);
        Assert.Equal(0, again.OutOfSyncBytes);
    }

    [Theory]
    [InlineData(RaidLevel.Raid1, 2)]
    [InlineData(RaidLevel.Raid10, 4)]
    public async Task Read_RepairsWhileOthersWrite_CopiesStayEqual(RaidLevel level, int members)
    {
        var (array, disks) = await CreateAsync(level, members, new ArrayOptions { MaximumCorrectedReads = int.MaxValue });
        var corrected = 0;
        for (var round = 0; round < Rounds; round++)
        {
            var stamp = (byte)(round + 1);
            await disks[0].AlterAsync(disk => disk.FailsRead = sector => sector == 2048 + 3);
            var bytes = new byte[8 * 512];
            System.Array.Fill(bytes, stamp);
            // The first round has no writer, who could heal the sector before any read meets it; later rounds race.
            var writing = round == 0 ? Task.CompletedTask : Task.Run(() => array.WriteAsync(0, bytes).AsTask(), TestContext.Current.CancellationToken);
            await Task.WhenAll(ReadAsync(), ReadAsync(), ReadAsync(), writing);
            corrected = array.Members[0].CorrectedReads;
        }

        Task ReadAsync() => array.ReadAsync(0, new byte[8 * 512]).AsTask();

        Assert.True(corrected > 0, "no read was ever repaired");
        Assert.Empty(disks.SelectMany(disk => disk.Collisions));
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        Assert.False(array.IsDegraded);
    }

    [Theory]
    [InlineData(RaidLevel.Raid1, 2, true)]
    [InlineData(RaidLevel.Raid5, 3, true)]
    [InlineData(RaidLevel.Raid1, 2, false)]
    [InlineData(RaidLevel.Raid5, 3, false)]
    public async Task Write_WhileMembersAreReplacedOrReturn_IsOnAllThatCount(RaidLevel level, int members, bool replaced)
    {
        var (array, _) = await CreateAsync(level, members);
        var expected = new byte[array.Length];
        using var done = new CancellationTokenSource();
        var writing = Task.Run(async () =>
        {
            var random = new Random(1);
            while (!done.IsCancellationRequested)
            {
                var at = random.Next((int)(array.Length / 512)) * 512;
                var bytes = new byte[(int)Math.Min(array.Length - at, random.Next(1, 20) * 512)];
                random.NextBytes(bytes);
                await array.WriteAsync(at, bytes);
                bytes.CopyTo(expected, at);
                if (random.Next(50) == 0) await array.SettleAsync();
            }
        }, TestContext.Current.CancellationToken);
        await (replaced ? ReplaceAsync(array) : ComeAndGoAsync(array));
        await done.CancelAsync();
        await writing;
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        for (var read = 0; read < members; read++) await Bench.AssertReadsAsync(expected, array);
    }

    /// <summary>A removed file is closed while calls that had found it in the array are under way, and opened again at once.</summary>
    [Theory(Timeout = 120_000)]
    [InlineData(RaidLevel.Raid1, 2)]
    [InlineData(RaidLevel.Raid5, 3)]
    public async Task Files_FailedRemovedAndBack_WhileClientsReadWriteAndFlush_NobodyGetsAnError(RaidLevel level, int members)
    {
        var directory = Directory.CreateTempSubdirectory("evenkeel-array-").FullName;
        try
        {
            var files = Enumerable.Range(0, members).Select(i =>
            {
                var path = Path.Combine(directory, $"{i}");
                using (var file = File.Create(path)) file.SetLength(Bench.DiskBytes);
                return FileDevice.Open(path);
            }).ToList();
            var definition = new ArrayDefinition { Level = level, Name = "files", Slots = members, ChunkBytes = 4096, MemberBytes = Bench.DataBytes, AssumeClean = true };
            var array = await ArrayCreation.CreateAsync(definition, [.. files]);
            using var done = new CancellationTokenSource();
            Task Client(Func<Task> act) => Task.Run(async () =>
            {
                while (!done.IsCancellationRequested) await act();
            }, TestContext.Current.CancellationToken);
            Task[] clients = [Client(() => WriteAsync(array, 1)), Client(() => array.FlushAsync().AsTask()), Client(() => array.FlushAsync().AsTask()), Client(() => array.ReadAsync(0, new byte[64 << 10]).AsTask())];
            for (var i = 0; i < Rounds && !clients.Any(client => client.IsFaulted); i++)
            {
                var member = array.Members.First(member => member.Slot == i % members);
                await array.FailAsync(member);
                await array.RemoveAsync(member);
                await array.AddAsync(FileDevice.Open(member.Device.Name));
                await array.RebuildAsync(stop: TestContext.Current.CancellationToken);
            }

            await done.CancelAsync();
            await Task.WhenAll(clients);
            Assert.False(array.IsDegraded);
            Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
            await array.StopAsync();
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>A write that met only the one that leaves would be missing on the one that counts from then on.</summary>
    [Fact]
    public async Task HoldersOf_WhileAReplacementTakesOver_AlwaysHasTheReplacement()
    {
        var (array, _) = await CreateAsync(RaidLevel.Raid1, 2);
        var metadata = array.Metadata;
        var old = array.Members.First(member => member.Slot == 0);
        var next = await array.AddAsync(new SimulatedDisk(new PowerSupply(1), Bench.DiskBytes, "next"));
        // By threes: both are being put in their places, both hold the slot, the replacement has taken over.
        long phase = 0, looks = 0;
        using var done = new CancellationTokenSource();
        var looking = Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                var before = Volatile.Read(ref phase);
                var holders = metadata.HoldersOf(0);
                if (before % 3 != 1 || Volatile.Read(ref phase) > before + 1) continue;
                Assert.True(holders.Member == next || holders.Replacement == next, "a write would not reach the replacement");
                looks++;
            }
        }, TestContext.Current.CancellationToken);
        for (var round = 0; round < 2_000_000 && !looking.IsCompleted; round++)
        {
            metadata.Place(old, 0);
            metadata.Place(next, 0, replacement: true);
            Volatile.Write(ref phase, phase + 1);
            metadata.TakeOver(next);
            Volatile.Write(ref phase, phase + 1);
            Volatile.Write(ref phase, phase + 1);
        }

        await done.CancelAsync();
        await looking;
        Assert.True(looks > Rounds);
    }

    [Fact]
    public async Task Members_WalkedWhileDevicesComeAndGo_AreAlwaysWhole()
    {
        var (array, _) = await CreateAsync(RaidLevel.Raid1, 3);
        using var done = new CancellationTokenSource();
        var walks = 0L;
        var walking = Enumerable.Range(0, 2).Select(_ => Task.Run(() =>
        {
            while (!done.IsCancellationRequested)
            {
                var slots = 0;
                foreach (var member in array.Members)
                    if (member.Slot >= 0) slots++;
                Assert.InRange(slots, 0, 3);
                Interlocked.Increment(ref walks);
            }
        }, TestContext.Current.CancellationToken)).ToArray();
        await Task.WhenAll(WriteAsync(array, 1), ComeAndGoAsync(array));
        await done.CancelAsync();
        await Task.WhenAll(walking);
        Assert.True(walks > Rounds);
    }

    private static async Task<(RaidArray Array, List<BusyDisk> Disks)> CreateAsync(RaidLevel level, int members, ArrayOptions? options = null)
    {
        var power = new PowerSupply(1);
        var disks = Enumerable.Range(0, members).Select(i => new BusyDisk(new SimulatedDisk(power, Bench.DiskBytes, $"disk{i}"), i)).ToList();
        var definition = new ArrayDefinition { Level = level, Name = "busy", Slots = members, ChunkBytes = 4096, MemberBytes = Bench.DataBytes, AssumeClean = true };
        return (await ArrayCreation.CreateAsync(definition, [.. disks], options), disks);
    }

    private static async Task WriteAsync(RaidArray array, int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < Rounds * 3; i++)
        {
            await Task.Yield();
            var at = random.Next((int)(array.Length / 512)) * 512L;
            await array.WriteAsync(at, new byte[(int)Math.Min(array.Length - at, random.Next(1, 20) * 512)]);
        }
    }

    private static async Task SettleAsync(RaidArray array)
    {
        for (var i = 0; i < Rounds; i++)
        {
            await Task.Yield();
            await array.SettleAsync();
        }
    }

    private static async Task ReplaceAsync(RaidArray array)
    {
        for (var i = 0; i < Rounds; i++)
        {
            var old = array.Members.First(member => member.Slot == i % array.Geometry.Members);
            var next = await array.AddAsync(new BusyDisk(new SimulatedDisk(new PowerSupply(1), Bench.DiskBytes, $"next{i}"), i));
            await array.ReplaceAsync(old, next);
            await array.RebuildAsync(stop: TestContext.Current.CancellationToken);
            await array.RemoveAsync(old);
        }
    }

    private static async Task ComeAndGoAsync(RaidArray array)
    {
        for (var i = 0; i < Rounds; i++)
        {
            var member = array.Members.First(member => member.State == MemberState.InSync);
            await array.FailAsync(member);
            await array.RemoveAsync(member);
            await array.AddAsync(member.Device);
            await array.RebuildAsync(stop: TestContext.Current.CancellationToken);
        }
    }
}
