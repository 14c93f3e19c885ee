using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Xunit;

namespace Evenkeel.Tests.Raid.Array;

public sealed class GrowthTests
{
    private const int Before = 64 * 1024;
    private const int After = 256 * 1024;

    public static TheoryData<RaidLevel, int, bool> Redundant => new()
    {
        { RaidLevel.Raid1, 2, true }, { RaidLevel.Raid5, 4, true }, { RaidLevel.Raid5, 3, false }, { RaidLevel.Raid6, 5, true }, { RaidLevel.Raid10, 4, true }, { RaidLevel.Raid10, 5, true },
    };

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task Grow_CleanArray_KeepsItsDataAndMakesTheNewRoomRedundant(RaidLevel level, int members, bool bitmap)
    {
        var bench = await Bench.CreateAsync(level, members, bitmap: bitmap, dataBytes: Before);
        var content = await bench.FillAsync(1);
        await bench.Array.StopAsync();
        // Old content beyond the end, as on a disk that was used before: it must not pass for redundant.
        foreach (var disk in bench.Disks) disk.Corrupt((1 << 20) / 512 + Before / 512 + members + bench.Disks.IndexOf(disk));
        var (before, after) = await ArrayGrowth.GrowAsync([.. bench.Disks], After, assumeClean: false, new ArrayOptions());
        Assert.Equal(content.Length, before);
        var array = await Bench.OpenAsync(bench.Disks);
        Assert.Equal(after, array.Length);
        Assert.True(array.OutOfSyncBytes > 0);
        await array.ResyncAsync();
        Assert.Equal(0, await array.ScrubAsync(repair: false));
        Assert.True(Begins(await Bench.ReadAllAsync(array), content));
        var tail = new byte[8192];
        new Random(2).NextBytes(tail);
        await array.WriteAsync(array.Length - tail.Length, tail);
        await array.FailAsync(array.Members[0]);
        Assert.Equal(tail, (await Bench.ReadAllAsync(array))[^tail.Length..]);
    }

    private static bool Begins(byte[] whole, byte[] with) => whole.AsSpan(0, with.Length).SequenceEqual(with);

    [Theory]
    [MemberData(nameof(Redundant))]
    public async Task Grow_PowerCutAtEveryWrite_ComesUpOldOrNewWithTheSameData(RaidLevel level, int members, bool bitmap)
    {
        var (content, setUp, steps) = (System.Array.Empty<byte>(), 0L, 0L);
        for (var cut = long.MaxValue; cut == long.MaxValue || cut <= steps; cut = cut == long.MaxValue ? setUp + 1 : cut + 1)
        {
            var power = new PowerSupply(1, cut);
            var bench = await Bench.CreateAsync(level, members, power: power, bitmap: bitmap, dataBytes: Before);
            content = await bench.FillAsync(1);
            await bench.Array.StopAsync();
            if (cut == long.MaxValue) setUp = power.Steps;
            try
            {
                await ArrayGrowth.GrowAsync([.. bench.Disks], After, assumeClean: false, new ArrayOptions());
            }
            catch (IOException) when (power.IsOff)
            {
                // What counts is what comes up.
            }

            if (cut == long.MaxValue) steps = power.Steps;
            var next = new PowerSupply((int)(cut & 0xffff));
            var array = await Bench.OpenAsync(bench.Disks.ConvertAll(disk => disk.Restart(next)));
            Assert.True(array.Length == content.Length || array.Length == 4 * content.Length || level == RaidLevel.Raid10, $"cut at {cut}: {array.Length} bytes");
            Assert.False(array.IsDegraded, $"cut at {cut}");
            await array.ResyncAsync();
            Assert.Equal(0, await array.ScrubAsync(repair: false));
            Assert.True(Begins(await Bench.ReadAllAsync(array), content), $"cut at {cut}");
        }

        Assert.True(steps - setUp > 10);
    }

    [Fact]
    public async Task Grow_DegradedOrRaid0OrFull_IsRefusedAndChangesNothing()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 3, dataBytes: Before);
        var content = await bench.FillAsync(1);
        await bench.Array.FailAsync(bench.Array.Members[1]);
        await bench.Array.StopAsync();
        await Assert.ThrowsAsync<ArrayNotReadyException>(() => ArrayGrowth.GrowAsync([.. bench.Disks], After, assumeClean: false, new ArrayOptions()));
        await Bench.AssertReadsAsync(content, await Bench.OpenAsync(bench.Disks));

        var full = await Bench.CreateAsync(RaidLevel.Raid1, 2, dataBytes: 1 << 20);
        await full.Array.StopAsync();
        await Assert.ThrowsAsync<ArrayNotReadyException>(() => ArrayGrowth.GrowAsync([.. full.Disks], null, assumeClean: true, new ArrayOptions()));
        var striped = await Bench.CreateAsync(RaidLevel.Raid0, 2, dataBytes: Before);
        await striped.Array.StopAsync();
        await Assert.ThrowsAsync<ArrayNotReadyException>(() => ArrayGrowth.GrowAsync([.. striped.Disks], After, assumeClean: true, new ArrayOptions()));
    }
}
