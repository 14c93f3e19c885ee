using Evenkeel.Raid.Array;
using Evenkeel.Raid.Devices;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;
using Evenkeel.Tests.Raid.Devices;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

/// <summary>
/// A mirror of which one member gets writes after the answer, over a line that lets through now and then. The power of the machine that
/// writes goes off at each single write and flush of its own disk: then the other has what the array was after some prefix of the writes,
/// unless it says of itself that it is being filled, and wherever the two differ the bitmap says so.
/// </summary>
public sealed class LaggingMemberTests
{
    private const int DataBytes = 640 * 1024;
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    /// <summary>One life of the writer: writes with stamps of their own, each sector's content after each write.</summary>
    private sealed class Story(int seed, long cut)
    {
        private readonly Random _random = new(seed);
        private byte _stamp;

        public PowerSupply Power { get; } = new(seed, cut);
        public SimulatedDisk Own { get; private set; } = null!;
        public SimulatedDisk Other { get; } = new(new PowerSupply(seed), Bench.DiskBytes, "other");
        public List<byte[]> History { get; } = [new byte[DataBytes / 512]];
        public RaidArray Array { get; private set; } = null!;
        public SlowLine? Line { get; private set; }
        public BacklogDevice Backlog { get; private set; } = null!;

        public async Task BeginAsync()
        {
            Own = new SimulatedDisk(Power, Bench.DiskBytes, "own");
            // The other is not there yet: it comes behind a backlog.
            Array = await ArrayCreation.CreateAsync(new ArrayDefinition { Level = RaidLevel.Raid1, Name = "test", Slots = 2, MemberBytes = DataBytes, AssumeClean = true },
                [Own, new SimulatedDisk(new PowerSupply(1), Bench.DiskBytes, "nobody")]);
            var nobody = Array.Members[1];
            await Array.FailAsync(nobody);
            await Array.RemoveAsync(nobody);
        }

        public async Task TakeInAsync()
        {
            Line = new SlowLine(Other);
            Backlog = new BacklogDevice("other", Line, 1 << 20, blocks: false, () => { });
            await Array.AddAsync(Backlog);
            Line.Open();
            await Array.RebuildAsync(stop: Token);
            await Backlog.DurableAsync();
        }

        /// <summary>Taken in anew over a line that lets through what it is told to, while writes go on.</summary>
        public async Task SlowDownAsync()
        {
            Backlog.Abandon("the test");
            var member = Array.Members.First(member => member.Device == Backlog);
            await Array.FailAsync(member);
            await Array.RemoveAsync(member);
            Line = new SlowLine(Other);
            Backlog = new BacklogDevice("other", Line, 1 << 20, blocks: false, () => { });
            await Array.AddAsync(Backlog);
            var rebuilding = Array.RebuildAsync(stop: Token);
            await WriteAsync(3);
            await rebuilding;
        }

        public async Task WriteAsync(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var at = _random.Next(DataBytes / 512);
                var sectors = Math.Min(DataBytes / 512 - at, _random.Next(1, 40));
                var bytes = new byte[sectors * 512];
                System.Array.Fill(bytes, ++_stamp);
                var now = (byte[])History[^1].Clone();
                now.AsSpan(at, sectors).Fill(_stamp);
                // Also of a write that the power cut short: it may be on the way to the other.
                History.Add(now);
                await Array.WriteAsync(at * 512L, bytes);
                Line?.Let(_random.Next(0, 3));
            }
        }
    }

    [Theory, InlineData(1), InlineData(2), InlineData(3)]
    public async Task Cut_AtEveryWriteOfTheWriter_TheOtherHasAPrefixAndNothingThatItLacksIsForgotten(int seed)
    {
        int prefixes = 0, bitmaps = 0, behind = 0;
        for (var cut = 1L; ; cut++)
        {
            var story = new Story(seed, cut);
            var cutShort = false;
            try
            {
                await TellAsync(story);
            }
            catch (IOException) when (story.Power.IsOff)
            {
                cutShort = true;
            }

            story.Line?.Cut();
            var where = $"seed {seed}, cut at {cut}";
            if (await PrefixOfAsync(story, where) is { } prefix)
            {
                prefixes++;
                if (prefix < story.History.Count - 2) behind++;
                await TakeOverAsync(story, where);
            }

            if (await ReturnAsync(story, where, (int)cut)) bitmaps++;
            if (!cutShort) break;
        }

        // The story is about something: many cuts found the other behind, and most of the time it got no more than it lacked.
        Assert.True(prefixes > 40 && behind > 10 && bitmaps > 40, $"{prefixes} prefixes, {behind} of them behind, {bitmaps} re-added by the bitmap");
    }

    /// <summary>The bitmap alone knows what the other lacks once the writer's memory is gone.</summary>
    [Fact]
    public async Task Settle_WhileTheOtherLacksAWrite_KeepsItsBit_AndTakesItBackOnceTheOtherHasIt()
    {
        var story = new Story(seed: 1, cut: long.MaxValue);
        await story.BeginAsync();
        await story.TakeInAsync();
        await story.SlowDownAsync();
        var dirty = story.Array.Metadata.Intent!.Dirty;
        var lacking = dirty.Count;
        Assert.True(lacking > 0 && story.Backlog.BacklogBytes > 0);
        for (var round = 0; round < 4; round++)
        {
            await story.Array.FlushAsync();
            await story.Array.SettleAsync();
            Assert.Equal(lacking, dirty.Count);
        }

        story.Line!.Open();
        await story.Backlog.DurableAsync().WaitAsync(TimeSpan.FromSeconds(10), Token);
        for (var round = 0; round < 2; round++) await story.Array.SettleAsync();
        Assert.Equal(0, dirty.Count);
    }

    private static async Task TellAsync(Story story)
    {
        await story.BeginAsync();
        await story.WriteAsync(4);
        await story.TakeInAsync();
        await story.WriteAsync(3);
        await story.Array.FlushAsync();
        await story.Array.SettleAsync();
        await story.SlowDownAsync();
        for (var round = 0; round < 4; round++)
        {
            await story.WriteAsync(4);
            await story.Array.FlushAsync();
            await story.Array.SettleAsync();
            story.Line!.Let(6);
            await story.WriteAsync(2);
            await story.Array.SettleAsync();
        }

        story.Line!.Open();
        await story.Backlog.DurableAsync().WaitAsync(TimeSpan.FromSeconds(10), Token);
        await story.Array.SettleAsync();
        await story.WriteAsync(3);
        await story.Array.SettleAsync();
    }

    /// <summary>After how many writes the other's content was the array's; null when it says that it is being filled, or is no member yet.</summary>
    private static async Task<int?> PrefixOfAsync(Story story, string where)
    {
        if (await SuperblockAsync(story.Other) is not { } superblock) return null;
        if (superblock.Features.HasFlag(MdFeatures.RecoveryOffset) || superblock.Role >= superblock.Slots)
        {
            // It was the array at no moment, perhaps: nobody goes on with it.
            await Assert.ThrowsAsync<AssemblyRefusedException>(() => ArrayAssembly.OpenAsync([story.Other]));
            return null;
        }

        var content = new byte[DataBytes];
        await story.Other.ReadAsync((long)superblock.DataOffset * 512, content);
        var stamps = Enumerable.Range(0, DataBytes / 512).Select(sector => content[sector * 512]).ToArray();
        for (var writes = story.History.Count - 1; writes >= 0; writes--)
            if (stamps.AsSpan().SequenceEqual(story.History[writes])) return writes;
        Assert.Fail($"{where}: the other has what the array was at no moment");
        return null;
    }

    /// <summary>Its own disk's power came back, perhaps the other's was away too: the other gets what it lacks. True: by the bitmap.</summary>
    private static async Task<bool> ReturnAsync(Story story, string where, int seed)
    {
        var own = story.Own?.Restart(new PowerSupply(seed));
        if (own is null || await SuperblockAsync(own) is null) return false;
        var reAdded = false;
        var array = await ArrayAssembly.OpenAsync([own], new ArrayOptions { OnEvent = happened => reAdded |= happened.Detail.StartsWith("re-added", StringComparison.Ordinal) });
        if (seed % 2 == 0) await story.Other.FlushAsync();
        var other = story.Other.Restart(new PowerSupply(seed));
        await array.AddAsync(other);
        await array.ResyncAsync(stop: Token);
        await array.RebuildAsync(stop: Token);
        Assert.True(await array.ScrubAsync(repair: false, stop: Token) == 0, $"{where}: the other lacks what the bitmap does not name");
        return reAdded;
    }

    /// <summary>The other goes on alone; then the first disk, which has what the other lacked, gets everything and not what a bitmap says.</summary>
    private static async Task TakeOverAsync(Story story, string where)
    {
        await story.Other.FlushAsync();
        var array = await ArrayAssembly.OpenAsync([story.Other.Restart(new PowerSupply(1))], new ArrayOptions());
        await array.ForkAsync(1UL << 31);
        await array.WriteAsync(0, new byte[512]);
        await array.FlushAsync();
        await array.SettleAsync();
        await array.AddAsync(story.Own.Restart(new PowerSupply(2)));
        await array.RebuildAsync(stop: Token);
        Assert.True(await array.ScrubAsync(repair: false, stop: Token) == 0, $"{where}: what was written and given up is still on the first disk");
    }

    private static async Task<MdSuperblock?> SuperblockAsync(SimulatedDisk disk)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        await disk.ReadAsync(MdSuperblockCodec.ByteOffset, bytes);
        return MdSuperblockCodec.IsPresent(bytes) ? MdSuperblockCodec.Read(bytes) : null;
    }
}
