using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.PartialParity;
using Evenkeel.Raid.Superblock;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.PartialParity;

public sealed class PartialParityTests
{
    // RFC 3720 appendix B.4 and the usual check value.
    [Fact]
    public void Crc32C_KnownVectors_Agree()
    {
        Assert.Equal(0x8a9136aau, Crc32C.Of(new byte[32]));
        Assert.Equal(0xe3069283u, Crc32C.Of("123456789"u8));
    }

    [Fact]
    public void Header_WhatWasWritten_IsReadAndAnyBitFlippedIsNot()
    {
        LogEntry[] entries = [new(4096, 8192, 16384, 2, 77), new(1 << 30, 0, 65536, 2, Crc32C.Of([]))];
        var bytes = new byte[LogHeader.Bytes];
        LogHeader.Write(bytes, 5, 9, entries);
        Assert.Equal(entries, LogHeader.Read(bytes, 5));
        Assert.Null(LogHeader.Read(bytes, 6));
        for (var bit = 0; bit < bytes.Length * 8; bit += 13)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit & 7));
            Assert.Null(LogHeader.Read(bytes, 5));
            bytes[bit / 8] ^= (byte)(1 << (bit & 7));
        }
    }

    // As the kernel writes them into a large log: one behind the other, from the beginning again at the end.
    [Fact]
    public void FindNewest_OfSeveralHeaders_IsTheOneWithTheHighestGenerationInTheRow()
    {
        var log = new byte[64 * 1024];
        Assert.Null(LogHeader.FindNewest(log, 5));
        LogHeader.Write(log, 5, 0, []);
        var empty = LogHeader.FindNewest(log, 5)!.Value;
        Assert.Empty(empty.Entries);
        Assert.Equal(LogHeader.Bytes, empty.PartialsAt);
        LogEntry First(long sector) => new(sector, 8192, 8192, 1, 0);
        LogHeader.Write(log, 5, 7, [First(1)]);
        LogHeader.Write(log.AsSpan(12288), 5, 8, [First(2)]);
        LogHeader.Write(log.AsSpan(24576), 5, 9, [First(3)]);
        Assert.Equal((3L, 28672), Newest());
        LogHeader.Write(log, 5, 10, [First(4)]);
        Assert.Equal((4L, 4096), Newest());
        log[24576] ^= 1;
        LogHeader.Write(log, 5, 7, [First(1)]);
        Assert.Equal((2L, 16384), Newest());

        (long, int) Newest() => LogHeader.FindNewest(log, 5) is { } newest ? (newest.Entries[0].ArraySector, newest.PartialsAt) : default;
    }

    [Theory]
    [InlineData(0, 8)] // one block's first columns
    [InlineData(3, 29)] // the rest of one block
    [InlineData(24, 16)] // the end of one, the beginning of the next
    [InlineData(4, 40)] // two and a piece, overlapping columns
    [InlineData(0, 96)] // a whole row
    [InlineData(5, 90)]
    public void Segments_OfAnyWrite_CoverEachSectorOnce(int from, int sectors)
    {
        var geometry = new ArrayGeometry(RaidLevel.Raid5, 4, 32, 320);
        var write = new RowWrite(geometry, from, new byte[sectors * 512]);
        var covered = write.Segments().SelectMany(piece => Enumerable.Range(piece.First, piece.Blocks)
            .SelectMany(block => Enumerable.Range((int)(block * 32 + piece.From), (int)(piece.To - piece.From)))).Order().ToArray();
        Assert.Equal(Enumerable.Range(from, sectors), covered);
        Assert.InRange(write.Segments().Count(), 1, 3);
    }

    [Fact]
    public async Task Create_NotAssumedClean_BuildsTheLastMemberAsMdadmDoes()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 4, assumeClean: false, log: true);
        Assert.True(bench.Array.IsDegraded);
        await bench.Array.RebuildAsync();
        Assert.False(bench.Array.IsDegraded);
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
        var content = await bench.FillAsync(1);
        await bench.Array.StopAsync();
        await Bench.AssertReadsAsync(content, await Bench.OpenAsync(bench.Disks));
    }

    [Fact]
    public async Task Write_ManyAtOnce_ShareHeadersAndKeepParity()
    {
        var power = new PowerSupply(1);
        var disks = Enumerable.Range(0, 4).Select(i => new BusyDisk(new SimulatedDisk(power, Bench.DiskBytes, $"disk{i}"), i)).ToList();
        var definition = new ArrayDefinition { Level = RaidLevel.Raid5, Name = "busy", Slots = 4, ChunkBytes = 4096, MemberBytes = Bench.DataBytes, AssumeClean = true, PartialParityLog = true };
        var array = await ArrayCreation.CreateAsync(definition, [.. disks]);
        var before = power.Steps;
        var length = (int)array.Length;
        await Task.WhenAll(Enumerable.Range(0, 120).Select(i => Task.Run(async () =>
        {
            var at = i * 8191 % (length / 512 - 8) * 512L;
            await array.WriteAsync(at, new byte[8 * 512]);
        }, TestContext.Current.CancellationToken)));
        Assert.Empty(disks.SelectMany(disk => disk.Collisions));
        // One header each would take a write and a flush for the log, and a flush of all four for the row before, beside two for the row itself.
        Assert.InRange(power.Steps - before, 1, 120 * 8 - 1);
        Assert.Equal(0, await array.ScrubAsync(repair: false, stop: TestContext.Current.CancellationToken));
        await array.StopAsync();
        var again = await ArrayAssembly.OpenAsync([.. disks]);
        Assert.False(again.IsDirty);
    }

    // A log that is not believed: everything is checked, and a second unclean stop in the midst of that does not hide it.
    [Fact]
    public async Task Open_DamagedLogTwice_StillResyncs()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 3, log: true);
        var content = await bench.FillAsync(1);
        await bench.Array.FlushAsync();
        // Dirty: not stopped.
        await bench.Disks[1].WriteAsync(LogPlace.Of(bench.Array.Members[1].Superblock), new byte[4096]);
        await bench.Disks[1].FlushAsync();
        bench.Disks[0].Corrupt(2048 + 8 * 60 + 1); // a parity, far behind
        var next = new PowerSupply(2);
        var disks = bench.Disks.ConvertAll(disk => disk.Restart(next));
        var first = await Bench.OpenAsync(disks);
        Assert.True(first.OutOfSyncBytes > 0);
        next = new PowerSupply(3);
        disks = disks.ConvertAll(disk => disk.Restart(next));
        var second = await Bench.OpenAsync(disks);
        Assert.True(second.OutOfSyncBytes > 0);
        await second.ResyncAsync();
        Assert.Equal(0, await second.ScrubAsync(repair: false));
        await second.SettleAsync();
        Assert.False(second.IsDirty);
        Assert.Equal(content.Length, second.Length);
    }

    // The log of an earlier life of the same device must not be replayed over newer rows.
    [Fact]
    public async Task Add_MemberWithAnOldLog_StartsWithAnEmptyOne()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 3, log: true);
        await bench.FillAsync(1);
        var away = bench.Array.Members[1];
        await bench.Array.FailAsync(away);
        await bench.Array.RemoveAsync(away);
        var back = await bench.Array.AddAsync(away.Device);
        var header = new byte[LogHeader.Bytes];
        await away.Device.ReadAsync(LogPlace.Of(back.Superblock), header);
        Assert.Equal([], LogHeader.Read(header, LogHeader.SignatureOf(bench.Array.Id)));
        await bench.Array.RebuildAsync();
        Assert.Equal(0, await bench.Array.ScrubAsync(repair: false));
    }

    [Fact]
    public void Superblock_WithALog_IsReadBackAndCheckedForRoom()
    {
        var superblock = new MdSuperblock
        {
            Features = MdFeatures.PartialParityLog, ArrayId = Guid.NewGuid(), Name = "p", Level = RaidLevel.Raid5, Layout = 2, Size = 20480, ChunkSectors = 256, Slots = 3,
            PartialParityOffset = 8, PartialParitySectors = 264, Roles = [0, 1, 2], DataOffset = 2048, DataSize = 20480, DeviceNumber = 1, DeviceId = Guid.NewGuid(),
        };
        var read = MdSuperblockCodec.Read(Padded(superblock));
        Assert.Equal((8, 264, 0), (read.PartialParityOffset, read.PartialParitySectors, read.BitmapOffset));
        foreach (var wrong in new[]
        {
            superblock with { PartialParitySectors = 255 }, superblock with { PartialParityOffset = -300 }, superblock with { PartialParitySectors = 2048 },
            superblock with { Level = RaidLevel.Raid6, Slots = 4 }, superblock with { Features = MdFeatures.PartialParityLog | MdFeatures.Bitmap },
        })
            Assert.Throws<MdFormatException>(() => MdSuperblockCodec.Read(Padded(wrong)));
    }

    private static byte[] Padded(MdSuperblock superblock)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        MdSuperblockCodec.Write(superblock).CopyTo(bytes, 0);
        return bytes;
    }
}
