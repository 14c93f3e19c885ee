using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Superblock;

/// <summary>Members whose metadata were scribbled on: refused in words, or opened with the data as they were. Never anything else.</summary>
public sealed class MetadataFuzzTests
{
    [Theory]
    [InlineData(RaidLevel.Raid1, 2, false)]
    [InlineData(RaidLevel.Raid5, 3, false)]
    [InlineData(RaidLevel.Raid5, 3, true)]
    [InlineData(RaidLevel.Raid10, 4, false)]
    public async Task Open_ScribbledMetadata_IsRefusedOrHoldsTheSameData(RaidLevel level, int members, bool log)
    {
        var (opened, refused) = (0, 0);
        for (var seed = 0; seed < 150; seed++)
        {
            var random = new Random(seed);
            var bench = await Bench.CreateAsync(level, members, log: log);
            var content = await bench.FillAsync(1);
            var clean = random.Next(2) == 0;
            if (clean) await bench.Array.StopAsync();
            else await bench.Array.FlushAsync();
            for (var scribbles = random.Next(1, 4); scribbles > 0; scribbles--)
            {
                // Bitmap, log and bad blocks lie from byte 8192 on, superblocks before.
                var disk = bench.Disks[random.Next(members)];
                var sector = random.Next(4) == 0 ? 8 + random.Next(2) : 16 + random.Next(300);
                var bytes = new byte[512];
                await disk.ReadAsync(sector * 512L, bytes);
                for (var changes = random.Next(1, 20); changes > 0; changes--) bytes[random.Next(512)] = (byte)random.Next(256);
                await disk.WriteAsync(sector * 512L, bytes);
                await disk.FlushAsync();
            }

            try
            {
                var array = await Bench.OpenAsync(bench.Disks);
                await Bench.AssertReadsAsync(content, array);
                await array.ResyncAsync();
                await array.RebuildAsync();
                Assert.Equal(0, await array.ScrubAsync(repair: false));
                await Bench.AssertReadsAsync(content, array);
                opened++;
            }
            catch (Exception e) when (e is MdFormatException or AssemblyRefusedException)
            {
                Assert.True(e.Message.Length > 10);
                refused++;
            }
        }

        Assert.True(opened > 20 && refused > 5, $"{opened} opened, {refused} refused");
    }
}
