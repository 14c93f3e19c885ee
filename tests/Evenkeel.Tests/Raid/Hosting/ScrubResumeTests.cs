using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Hosting;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Hosting;

/// <summary>A scrub that a restart interrupts goes on where it was, and its sum is that of both parts.</summary>
public sealed class ScrubResumeTests : IDisposable
{
    private readonly string _directory = Directory.CreateTempSubdirectory("evenkeel-scrub-").FullName;

    public void Dispose() => Directory.Delete(_directory, recursive: true);

    [Fact]
    public async Task Check_StoppedHalfway_GoesOnAfterTheRestart()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid5, 3);
        await bench.FillAsync(1);
        await bench.Array.FlushAsync();
        var file = Path.Combine(_directory, "x.scrub");
        bench.Disks[2].Corrupt(2048 + 3); // in the first chunk, which the first part sees
        // Slow enough to be stopped in its midst.
        bench.Array.SyncBytesPerSecond = 64 * 1024 * 20;
        using (var first = new ArrayHost(bench.Array, "nbd://x", _ => throw new IOException(), _ => { }, new HostOptions { ScrubFile = file }))
        {
            using var stop = new CancellationTokenSource();
            var running = first.RunAsync(stop.Token);
            await first.ObeyAsync(new HostOrder("check"));
            while (first.Report().DoneBytes < 2 * 65536) await Task.Delay(1, TestContext.Current.CancellationToken);
            await stop.CancelAsync();
            await running;
        }

        Assert.True(File.Exists(file));
        bench.Disks[2].Corrupt(2048 + 3); // mended, so that only memory can know of it
        bench.Array.SyncBytesPerSecond = null;
        var least = long.MaxValue;
        using var second = new ArrayHost(bench.Array, "nbd://x", _ => throw new IOException(), _ => { }, new HostOptions { ScrubFile = file });
        using var end = new CancellationTokenSource();
        var again = second.RunAsync(end.Token);
        while (second.Report() is { Mismatches: null } report)
        {
            if (report.DoneBytes > 0) least = Math.Min(least, report.DoneBytes);
            await Task.Yield();
        }

        Assert.Equal(8, second.Report().Mismatches);
        Assert.True(least > 65536, "it began anew");
        await end.CancelAsync();
        await again;
        Assert.False(File.Exists(file));
    }

    [Fact]
    public async Task Scrub_FromAPoint_LooksAtTheRestOnly()
    {
        var bench = await Bench.CreateAsync(RaidLevel.Raid1, 2);
        await bench.FillAsync(1);
        bench.Disks[1].Corrupt(2048 + 3);
        bench.Disks[1].Corrupt(2048 + 400);
        Assert.Equal(16, await bench.Array.ScrubAsync(repair: false));
        Assert.Equal(8 + 5, await bench.Array.ResumeScrubAsync(repair: false, new ScrubPoint(256, 5), null));
        Assert.Equal(5, await bench.Array.ResumeScrubAsync(repair: false, new ScrubPoint(long.MaxValue / 2, 5), null));
    }
}
