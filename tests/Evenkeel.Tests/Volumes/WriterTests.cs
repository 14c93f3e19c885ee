using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>A volume's writer and legs as they run on nodes, over loopback: what is acknowledged is where the cluster says it is.</summary>
public sealed class WriterTests
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), n3 = new("n3");
    private static readonly Epoch first = new(1, 1), second = new(1, 2);
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static byte[] Block(byte value) => [.. Enumerable.Repeat(value, 4096)];

    /// <summary>The volume's first writer is on n1, and both legs are in sync.</summary>
    private static async Task<WriterLink> MadeAsync(VolumeBench bench)
    {
        bench.StartLeg(n1);
        bench.StartLeg(n2);
        var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Synchronous.Count: 1, Data: not null }, "made");
        return writer;
    }

    [Fact]
    public async Task NewVolume_IsMadeOverItsLegsAndBothHaveWhatIsFlushed()
    {
        await using var bench = new VolumeBench(2);
        bench.StartLeg(n1);
        bench.StartLeg(n2);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        var report = await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Data: not null }, "made");
        Assert.Equal<NodeName>([n2], report.Required);
        Assert.Equal<NodeName>([n2], report.Synchronous);
        await using (var client = await writer.OpenAsync())
        {
            Assert.Equal(VolumeBench.Size, client.Length);
            await client.WriteAsync(1 << 20, Block(7));
            await client.FlushAsync();
        }

        // Either leg alone has it: the next writer is on the other node, and hears nothing of the first.
        await bench.StopWriterAsync(n1, first);
        await bench.StopLegAsync(n1);
        await using var next = bench.StartWriter(n2, second, [], report.Data);
        await next.UntilAsync(report => report.Phase == WriterPhase.Mounted, "taken over");
        await using var reader = await next.OpenAsync();
        var found = new byte[4096];
        await reader.ReadAsync(1 << 20, found);
        Assert.Equal(Block(7), found);
    }

    [Fact]
    public async Task Leg_Lost_WritesWaitUntilItIsPutOut_AndGetsWhatItMissedWhenItIsBack()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        var data = writer.Report!.Data!;
        await using var client = await writer.OpenAsync();
        await client.WriteAsync(0, Block(1));
        await client.FlushAsync();

        await bench.StopLegAsync(n2);
        var waiting = client.WriteAsync(1 << 20, Block(2)).AsTask();
        await writer.UntilAsync(report => report is { Frozen: > 0, Followers.Count: 0 }, "frozen");
        await Task.Delay(1500, Token); // Longer than a leg's time limit: nothing but the order ends the wait.
        Assert.False(waiting.IsCompleted, "a write was acknowledged that the leg lacks, before the cluster knew");
        writer.Require();
        await waiting.WaitAsync(TimeSpan.FromSeconds(30), Token);
        await client.FlushAsync();
        await writer.UntilAsync(report => report is { Frozen: 0, Required.Count: 0 }, "put out");

        bench.StartLeg(n2);
        await writer.UntilAsync(report => report.Followers.Contains(n2), "back");
        writer.Require(n2);
        await writer.UntilAsync(report => report.Synchronous.Contains(n2), "in sync again");
        Assert.Contains(bench.Said, line => line.Contains("re-added", StringComparison.Ordinal)); // By the bitmap, not as a whole.
        await bench.StopWriterAsync(n1, first);

        await using var next = bench.StartWriter(n2, second, [], data);
        await next.UntilAsync(report => report.Phase == WriterPhase.Mounted, "taken over");
        await using var reader = await next.OpenAsync();
        var found = new byte[4096];
        await reader.ReadAsync(1 << 20, found);
        Assert.Equal(Block(2), found);
    }

    /// <summary>Its first order may be of before the leg was put out.</summary>
    [Fact]
    public async Task NextWriter_ToldToWaitForALegThatIsBehind_GoesOnWithoutIt_AndTakesItInAgain()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        var data = writer.Report!.Data!;
        await bench.StopLegAsync(n2);
        await using (var client = await writer.OpenAsync())
        {
            var waiting = client.WriteAsync(1 << 20, Block(2)).AsTask();
            await writer.UntilAsync(report => report.Frozen > 0, "frozen");
            writer.Require();
            await waiting.WaitAsync(TimeSpan.FromSeconds(30), Token);
            await client.FlushAsync();
        }

        await bench.StopWriterAsync(n1, first);
        bench.StartLeg(n2);
        await using var next = bench.StartWriter(n1, second, [n2], data);
        await next.UntilAsync(_ => bench.Has("LeftOut leg:n2"), "the leg is found to be behind");
        await next.UntilAsync(report => report is { Phase: not WriterPhase.Mounted, Followers.Count: 0 }, "reported as one that does not follow");
        next.Require();
        await next.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Required.Count: 0 }, "opened without it");
        await next.UntilAsync(report => report.Followers.Contains(n2), "it may be taken in");
        next.Require(n2);
        await next.UntilAsync(report => report.Synchronous.Contains(n2), "in sync again");
    }

    [Fact]
    public async Task OlderWriter_AfterANewerOneCame_GetsNothingAcknowledgedAnyMore()
    {
        await using var bench = new VolumeBench(2);
        await using var old = await MadeAsync(bench);
        var data = old.Report!.Data!;
        await using var oldClient = await old.OpenAsync(TimeSpan.FromSeconds(3));
        await oldClient.WriteAsync(0, Block(1));
        await oldClient.FlushAsync();

        // The cluster gave the volume to n2; n1 has not heard of it, and its lease's end has not come to its ears.
        await using var next = bench.StartWriter(n2, second, [], data);
        await next.UntilAsync(report => report.Phase == WriterPhase.Mounted, "taken over");
        await using var client = await next.OpenAsync();
        await client.WriteAsync(0, Block(2));
        await client.FlushAsync();

        await Assert.ThrowsAnyAsync<IOException>(async () =>
        {
            await oldClient.WriteAsync(0, Block(3));
            await oldClient.FlushAsync();
        });
        var found = new byte[4096];
        await client.ReadAsync(0, found);
        Assert.Equal(Block(2), found);

        // Its leg has a write that nobody acknowledged: taken in, it gets the newer one over it.
        await bench.StopLegAsync(n1);
        bench.StartLeg(n1);
        await next.UntilAsync(report => report.Followers.Contains(n1), "the old leg is back");
        next.Require(n1);
        await next.UntilAsync(report => report.Synchronous.Contains(n1), "in sync");
        var verify = next.LastOrder with { Verify = 1 };
        next.Order(verify);
        Assert.Equal(0, (await next.UntilAsync(report => report.Verified == 1, "verified")).Mismatches);
    }

    [Fact]
    public async Task Order_ForAnotherEpoch_DoesNotEndTheWaitForALeg()
    {
        await using var bench = new VolumeBench(2);
        await using var writer = await MadeAsync(bench);
        await using var client = await writer.OpenAsync();
        await bench.StopLegAsync(n2);
        var waiting = client.WriteAsync(0, Block(4)).AsTask();
        await writer.UntilAsync(report => report.Frozen > 0, "frozen");
        var rightful = writer.LastOrder;
        writer.Order(rightful with { Epoch = second, Required = [] });
        await Task.Delay(500, Token);
        Assert.False(waiting.IsCompleted, "an order that was meant for another writer was followed");
        writer.Order(rightful with { Required = [] });
        await waiting.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    /// <summary>The order that takes it in again overtakes the one that put it out, where the writer is busy.</summary>
    [Fact]
    public async Task Leg_PutOutAndTakenInAtOnce_GetsWhatItLacks()
    {
        await using var bench = new VolumeBench(2);
        foreach (var node in bench.Nodes) bench.StartLeg(node);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Synchronous.Count: 1 }, "made");
        await using var client = await writer.OpenAsync();
        for (byte i = 1; i <= 5; i++)
        {
            writer.Require();
            writer.Require(n2);
            await client.WriteAsync(i * 4096, Block(i)).AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token);
            await client.FlushAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), Token);
            await Task.Delay(100, Token); // So that the write has met a leg that is shut, and has been counted.
            await writer.UntilAsync(report => report.Synchronous.Contains(n2), "in sync");
        }
    }

    [Fact]
    public async Task ThreeLegs_TwoLostAtOnce_OneAfterTheOtherIsPutOutAndWritesGoOn()
    {
        await using var bench = new VolumeBench(3);
        foreach (var node in bench.Nodes) bench.StartLeg(node);
        await using var writer = bench.StartWriter(n1, first, [n2, n3]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Synchronous.Count: 2 }, "made");
        await using var client = await writer.OpenAsync();
        await bench.StopLegAsync(n2);
        await bench.StopLegAsync(n3);
        var waiting = client.WriteAsync(0, Block(5)).AsTask();
        await writer.UntilAsync(report => report.Followers.Count == 0, "both lost");
        writer.Require(n3);
        await Task.Delay(300, Token);
        Assert.False(waiting.IsCompleted);
        writer.Require();
        await waiting.WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    [Fact]
    public async Task NewVolume_OneLegNotThereYet_IsMadeWithoutItAndFillsItLater()
    {
        await using var bench = new VolumeBench(2);
        bench.StartLeg(n1);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Waiting, Followers.Count: 0 }, "waits for the second leg");
        writer.Require();
        await writer.UntilAsync(report => report.Phase == WriterPhase.Mounted, "made on one leg");
        await using var client = await writer.OpenAsync();
        await client.WriteAsync(4 << 20, Block(9));
        await client.FlushAsync();
        bench.StartLeg(n2);
        await writer.UntilAsync(report => report.Followers.Contains(n2), "the second leg came");
        writer.Require(n2);
        await writer.UntilAsync(report => report.Synchronous.Contains(n2), "filled", 60);
        writer.Order(writer.LastOrder with { Verify = 1 });
        Assert.Equal(0, (await writer.UntilAsync(report => report.Verified == 1, "verified", 60)).Mismatches);
    }

    /// <summary>It answers who looks, and fails when it is to be written: the writer has no array yet that could put it out.</summary>
    [Fact]
    public async Task Leg_FailsWhileTheArrayIsOpened_IsPutOutByTheClusterAndTheWriterGoesOn()
    {
        await using var bench = new VolumeBench(2);
        bench.StartLeg(n1);
        await using var faulty = await bench.StartFaultyLegAsync(n2, refuses: false);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Waiting, Frozen: > 0, Followers.Count: 0 }, "waits until the leg is put out");
        writer.Require();
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Required.Count: 0 }, "goes on without it");
    }

    [Fact]
    public async Task Writer_WaitsForALegWhileItOpensTheArray_EndsWhenItIsAskedTo()
    {
        await using var bench = new VolumeBench(2);
        bench.StartLeg(n1);
        await using var faulty = await bench.StartFaultyLegAsync(n2, refuses: false);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Waiting, Frozen: > 0 }, "waits");
        await bench.StopWriterAsync(n1, first).WaitAsync(TimeSpan.FromSeconds(30), Token);
    }

    [Fact]
    public async Task Leg_RefusesTheConnectionForData_IsPutOutByTheClusterAndTheWriterGoesOn()
    {
        await using var bench = new VolumeBench(2);
        bench.StartLeg(n1);
        await using var faulty = await bench.StartFaultyLegAsync(n2, refuses: true);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Waiting, Followers.Count: 0 }, "waits until the leg is put out");
        writer.Require();
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Required.Count: 0 }, "goes on without it");
        Assert.DoesNotContain(bench.Said, line => line.Contains("ended:", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Raid10_OnFourNodes_SurvivesOneOfEachPair()
    {
        await using var bench = new VolumeBench(4, level: 10);
        foreach (var node in bench.Nodes) bench.StartLeg(node);
        NodeName n4 = new("n4");
        await using var writer = bench.StartWriter(n1, first, [n2, n3, n4]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Synchronous.Count: 3 }, "made");
        await using var client = await writer.OpenAsync();
        for (var i = 0; i < 8; i++) await client.WriteAsync(i * (3L << 20), Block((byte)(i + 1)));
        await client.FlushAsync();
        await bench.StopLegAsync(n2);
        await bench.StopLegAsync(n3);
        writer.Require(n4);
        var found = new byte[4096];
        for (var i = 0; i < 8; i++)
        {
            await client.ReadAsync(i * (3L << 20), found);
            Assert.Equal(Block((byte)(i + 1)), found);
        }
    }
}
