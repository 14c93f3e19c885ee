using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>A writer with an asynchronous leg as they run on nodes, over loopback: nobody waits for it, and nobody is told more of it than it has.</summary>
public sealed class AsynchronousWriterTests
{
    private const int Backlog = 4 << 20;
    private static readonly NodeName n1 = new("n1"), n2 = new("n2");
    private static readonly Epoch first = new(1, 1), second = new(1, 2);
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static byte[] Block(byte value) => [.. Enumerable.Repeat(value, 1 << 16)];

    private static bool Is(WriterReport report, Lag lag) => report.Asynchronous is [{ } leg] && leg.Lag == lag;

    /// <summary>The volume's first writer is on n1, and the leg of n2 follows.</summary>
    private static async Task<WriterLink> MadeAsync(VolumeBench bench)
    {
        bench.StartLeg(n1);
        bench.StartLeg(n2);
        var writer = bench.StartWriter(n1, first, []);
        writer.Order(writer.LastOrder with { Asynchronous = [n2], Backlog = Backlog });
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Data: not null } && Is(report, Lag.Following), "made");
        return writer;
    }

    private static async Task WriteAsync(WriterLink writer, long at, byte value)
    {
        await using var client = await writer.OpenAsync();
        await client.WriteAsync(at, Block(value));
        await client.FlushAsync();
    }

    private static async Task<byte[]> ReadAsync(WriterLink writer, long at)
    {
        await using var client = await writer.OpenAsync();
        var found = new byte[1 << 16];
        await client.ReadAsync(at, found);
        return found;
    }

    [Fact]
    public async Task Leg_ThatFollows_GetsEverything_AndOthersGetAllOfItWhenItWasGoneOnWith()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        var data = writer.Report!.Data!;
        Assert.Empty(writer.Report.Required);
        Assert.Empty(writer.Report.Synchronous);
        await WriteAsync(writer, 1 << 20, 7);
        await writer.UntilAsync(report => report.Asynchronous[0].BacklogBytes == 0, "everything is there");
        await bench.StopWriterAsync(n1, first);

        await using var next = bench.StartWriter(n2, second, [], data);
        await next.UntilAsync(report => report.Phase == WriterPhase.Mounted, "gone on with");
        Assert.Equal(Block(7), await ReadAsync(next, 1 << 20));
        await WriteAsync(next, 2 << 20, 8);
        next.Require(n1);
        await next.UntilAsync(report => report.Synchronous.Contains(n1), "the first leg is in sync again");
        // What it had may not be in this leg's past: nothing of it is taken for right.
        Assert.DoesNotContain(bench.Said, line => line.Contains("RebuildStarted leg:n1 re-added", StringComparison.Ordinal));
        next.Order(next.LastOrder with { Verify = 1 });
        Assert.Equal(0, (await next.UntilAsync(report => report.Verified == 1, "verified")).Mismatches);
    }

    [Fact]
    public async Task Leg_Lost_WritesGoOnWithoutAnOrder_AndItGetsWhatItMissedWhenItIsBack()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        await bench.StopLegAsync(n2);
        for (byte i = 0; i < 100; i++) await WriteAsync(writer, i << 16, i).WaitAsync(TimeSpan.FromSeconds(10), Token);
        var report = await writer.UntilAsync(report => Is(report, Lag.Behind), "behind");
        Assert.Equal(0, report.Frozen);
        bench.StartLeg(n2);
        await writer.UntilAsync(report => Is(report, Lag.Following), "follows again");
        Assert.Contains(bench.Said, line => line.Contains("RebuildStarted leg:n2 re-added", StringComparison.Ordinal)); // By the bitmap, not as a whole.
        await bench.StopWriterAsync(n1, first);
        await using var next = bench.StartWriter(n2, second, [], writer.Report!.Data!);
        await next.UntilAsync(report => report.Phase == WriterPhase.Mounted, "gone on with");
        for (byte i = 0; i < 100; i++) Assert.Equal(Block(i), await ReadAsync(next, i << 16));
    }

    /// <summary>While somebody may take over there, it never lacks more than its backlog.</summary>
    [Fact]
    public async Task Leg_LostWhileItIsHeld_WritesGoOnUpToTheBacklogAndThenWaitUntilItIsNamedNoMore()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        var loose = writer.LastOrder;
        writer.Order(loose with { Held = [n2] });
        await writer.UntilAsync(report => report.Asynchronous[0].Held, "held");
        await bench.StopLegAsync(n2);
        await using var client = await writer.OpenAsync(TimeSpan.FromSeconds(60));
        Task waiting = Task.CompletedTask;
        var written = 0;
        for (; written < 3 * Backlog && writer.Report!.Frozen == 0; written += 1 << 16)
        {
            waiting = client.WriteAsync(written, Block(3)).AsTask();
            await Task.WhenAny(waiting, Task.Delay(1000, Token));
            if (!waiting.IsCompleted) break;
        }

        await writer.UntilAsync(report => report.Frozen > 0 && Is(report, Lag.Behind), "waits");
        Assert.InRange(written, Backlog / 2, Backlog + (1 << 16));
        Assert.False(waiting.IsCompleted, "a write was acknowledged that makes the leg lack more than whoever takes over there was told");
        writer.Order(loose);
        await waiting.WaitAsync(TimeSpan.FromSeconds(30), Token);
        bench.StartLeg(n2);
        await writer.UntilAsync(report => Is(report, Lag.Following) && report.Frozen == 0, "follows again");
    }

    /// <summary>Its predecessor kept the leg within a backlog that is gone.</summary>
    [Fact]
    public async Task Writer_StartedWhileALegIsHeld_WritesNothingBeforeItIsNamedNoMore()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        var data = writer.Report!.Data!;
        await bench.StopWriterAsync(n1, first);
        await using var next = bench.StartWriter(n1, second, [], data);
        var order = next.LastOrder with { Asynchronous = [n2], Held = [n2] };
        next.Order(order);
        await next.UntilAsync(report => report.Detail.Contains("nobody may take over", StringComparison.Ordinal), "waits");
        Assert.Equal(WriterPhase.Waiting, next.Report!.Phase);
        next.Order(order with { Held = [] });
        await next.UntilAsync(report => report.Phase == WriterPhase.Mounted && Is(report, Lag.Following), "follows");
    }

    [Fact]
    public async Task Leg_BecomesSynchronousAndBack_IsWaitedForOnlyWhileItIs()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        var behind = writer.LastOrder;
        writer.Order(behind with { Asynchronous = [], Required = [n2] });
        await writer.UntilAsync(report => report.Synchronous.Contains(n2) && report.Asynchronous.Count == 0, "in sync");
        await WriteAsync(writer, 0, 5);
        writer.Order(behind);
        await writer.UntilAsync(report => report.Required.Count == 0 && Is(report, Lag.Following), "follows");
        await bench.StopLegAsync(n2);
        await WriteAsync(writer, 0, 6).WaitAsync(TimeSpan.FromSeconds(10), Token);
    }
}
