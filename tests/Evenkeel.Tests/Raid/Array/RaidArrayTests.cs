using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

public sealed class RaidArrayTests
{
    public static TheoryData<RaidLevel, int> Levels => new()
    {
        { RaidLevel.Raid0, 3 }, { RaidLevel.Raid1, 2 }, { RaidLevel.Raid1, 3 }, { RaidLevel.Raid5, 3 }, { RaidLevel.Raid5, 5 },
        { RaidLevel.Raid6, 4 }, { RaidLevel.Raid6, 6 }, { RaidLevel.Raid10, 4 }, { RaidLevel.Raid10, 5 },
    };

    public static TheoryData<RaidLevel, int> Redundant => [.. Levels.Where(row => row.Data.Item1 != RaidLevel.Raid0)];

    [Theory]
    [MemberData(nameof(Levels))]
    public async Task Read_AfterRandomOverwrites_ReturnsTheLastWritten(RaidLevel level, int members)
    {
        var bench = await Bench.CreateAsync(level, members);
        var content = await bench.FillAsync(3);
        var random = new Random(5);
        for (var i = 0; i < 300; i++)
        {
            var at = random.Next(content.Length / 512) * 512;
            var length = Math.Min(content.Length - at, random.Next(1, 80) * 512);
            random.NextBytes(content.AsSpan(at, length));
            await bench.Array.WriteAsync(at, content.AsMemory(at, length));
        }

        await Bench.AssertReadsAsync(content, bench.Array);
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
        await bench.Array.StopAsync();
        var again = await Bench.OpenAsync(bench.Disks);
        Assert.False(again.IsDirty);
        await Bench.AssertReadsAsync(content, again);
    }

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task FailAndRebuild_AsManyAsTheLevelSurvives_LosesNothing(RaidLevel level, int members)
    {
        var losses = level switch { RaidLevel.Raid6 => 2, RaidLevel.Raid1 => members - 1, _ => 1 };
        for (var first = 0; first < members; first++)
        {
            var bench = await Bench.CreateAsync(level, members, spares: losses);
            var content = await bench.FillAsync(first);
            for (var n = 0; n < losses; n++)
            {
                await bench.Array.FailAsync(bench.Array.Members[(first + n) % members]);
                var patch = new byte[9 * 512];
                new Random(n).NextBytes(patch);
                patch.CopyTo(content, 4096 * n);
                await bench.Array.WriteAsync(4096 * n, patch);
                await Bench.AssertReadsAsync(content, bench.Array);
            }

            Assert.True(bench.Array.IsDegraded);
            await bench.Array.RebuildAsync();
            Assert.False(bench.Array.IsDegraded);
            Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
            await Bench.AssertReadsAsync(content, bench.Array);
            await bench.Array.StopAsync();

            // The failed ones are given too: they must be left out.
            var again = await Bench.OpenAsync(bench.Disks);
            Assert.False(again.IsDegraded);
            await Bench.AssertReadsAsync(content, again);
        }
    }

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task Add_MemberThatWasAwayShortly_CopiesOnlyWhatItMissed(RaidLevel level, int members)
    {
        var bench = await Bench.CreateAsync(level, members);
        var content = await bench.FillAsync(1);
        await bench.Array.SettleAsync();
        var away = bench.Array.Members[1];
        await bench.Array.FailAsync(away);
        await bench.Array.RemoveAsync(away);
        new Random(9).NextBytes(content.AsSpan(8192, 20 * 512));
        await bench.Array.WriteAsync(8192, content.AsMemory(8192, 20 * 512));
        await bench.Array.SettleAsync();

        var back = await bench.Array.AddAsync(away.Device);
        Assert.Equal(MemberState.Rebuilding, back.State);
        Assert.Equal(1, back.Stale!.Count);
        await bench.Array.RebuildAsync();
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
        await Bench.AssertReadsAsync(content, bench.Array);
    }

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task Replace_WorkingMember_IsNeverDegraded(RaidLevel level, int members)
    {
        var bench = await Bench.CreateAsync(level, members, spares: 1);
        var content = await bench.FillAsync(1);
        var old = bench.Array.Members[0];
        await bench.Array.ReplaceAsync(old);
        Assert.False(bench.Array.IsDegraded);
        new Random(2).NextBytes(content.AsSpan(0, 4096 * 3));
        await bench.Array.WriteAsync(0, content.AsMemory(0, 4096 * 3));
        await bench.Array.RebuildAsync();
        Assert.Equal(MemberState.Faulty, old.State);
        await Bench.AssertReadsAsync(content, bench.Array);
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
    }

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task Scrub_LyingMember_IsFoundAndRepaired(RaidLevel level, int members)
    {
        var bench = await Bench.CreateAsync(level, members);
        await bench.FillAsync(1);
        bench.Disks[^1].Corrupt(2048 + 3);
        Assert.Equal(8, await bench.Array.ScrubAsync(repair: false));
        Assert.Equal(8, await bench.Array.ScrubAsync(repair: true));
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
    }

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task Read_UnreadableSector_IsRebuiltAndWrittenAnew(RaidLevel level, int members)
    {
        var bench = await Bench.CreateAsync(level, members);
        var content = await bench.FillAsync(1);
        bench.Disks[0].FailsRead = sector => sector == 2048 + 8 + 5; // data of row 1 at every level
        for (var i = 0; i < members; i++)
        {
            await Bench.AssertReadsAsync(content, bench.Array);
            if (level == RaidLevel.Raid10) await bench.Array.ReadAsync(0, new byte[512]); // mirrors take turns: an odd number of reads is needed
        }

        Assert.Contains(bench.Events, happened => happened is { Kind: "ReadCorrected", Member: "disk0" });
        Assert.False(bench.Array.IsDegraded);
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task WriteOrFlush_FailingMember_IsEjectedBeforeTheAcknowledgement(bool atFlush)
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 4);
        var content = await bench.FillAsync(1);
        (bench.Disks[2].FailsWrites, bench.Disks[2].FailsFlushes) = (!atFlush, atFlush);
        new Random(4).NextBytes(content.AsSpan(0, 65536));
        await bench.Array.WriteAsync(0, content.AsMemory(0, 65536));
        await bench.Array.FlushAsync();
        Assert.Equal(MemberState.Faulty, bench.Array.Members[2].State);

        // Power fails now; the ejected one comes back and must not be believed, nor may the others be without force (dirty and degraded).
        var next = new PowerSupply(2);
        var disks = bench.Disks.ConvertAll(disk => disk.Restart(next));
        var refusal = await Assert.ThrowsAsync<AssemblyRefusedException>(() => Bench.OpenAsync(disks));
        Assert.Contains("--force", refusal.Message, StringComparison.Ordinal);
        var forced = await Bench.OpenAsync(disks, force: true);
        await Bench.AssertReadsAsync(content, forced);
    }

    [Fact]
    public async Task Write_MoreMembersLostThanSurvived_FailsAndLeavesTheMetadata()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 3);
        await bench.FillAsync(1);
        bench.Disks[0].FailsWrites = bench.Disks[1].FailsWrites = true;
        await Assert.ThrowsAnyAsync<IOException>(async () => await bench.Array.WriteAsync(0, new byte[16384]));
        Assert.True(bench.Array.IsBroken);
        await Assert.ThrowsAnyAsync<IOException>(async () => await bench.Array.WriteAsync(0, new byte[512]));
        await Assert.ThrowsAsync<ArrayBrokenException>(async () => await bench.Array.FlushAsync());
    }

    [Fact]
    public async Task Rebuild_StoppedHalfway_GoesOnFromTheCheckpoint()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid6, 5, spares: 1);
        var content = await bench.FillAsync(1);
        await bench.Array.FailAsync(bench.Array.Members[3]);
        using var stop = new CancellationTokenSource();
        var steps = new Steps(done => { if (done > 2 * 65536) stop.Cancel(); });
        await Assert.ThrowsAsync<OperationCanceledException>(() => bench.Array.RebuildAsync(steps, stop.Token));
        await bench.Array.StopAsync();
        var again = await Bench.OpenAsync(bench.Disks);
        Assert.True(again.IsDegraded);
        await Bench.AssertReadsAsync(content, again);
        await again.RebuildAsync();
        Assert.False(again.IsDegraded);
        Assert.Equal(0, await again.ScrubAsync(repair: false));
    }

    [Fact]
    public async Task Open_BadBlockListed_NeverReadsThatRange()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 3);
        var content = await bench.FillAsync(1);
        await bench.Array.StopAsync();
        var disk = bench.Disks[1];
        var raw = new byte[4096];
        await disk.ReadAsync(MdSuperblockCodec.ByteOffset, raw);
        var superblock = MdSuperblockCodec.Read(raw);
        superblock = superblock with { Features = superblock.Features | MdFeatures.BadBlocks };
        await disk.WriteAsync(MdSuperblockCodec.ByteOffset, MdSuperblockCodec.Write(superblock));
        var log = new byte[512];
        System.Array.Fill<byte>(log, 0xff);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(log, (16UL << 10) | 4);
        await disk.WriteAsync(MdSuperblockCodec.ByteOffset + superblock.BadBlockOffset * 512L, log);
        for (var sector = 16; sector < 20; sector++) disk.Corrupt((long)superblock.DataOffset + sector);
        await Bench.AssertReadsAsync(content, await Bench.OpenAsync(bench.Disks));
    }

    private sealed class Steps(Action<long> step) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => step(value.DoneBytes);
    }
}
