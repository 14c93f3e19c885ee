using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;
using Xunit;

namespace Evenkeel.EndToEnd.Fencing;

/// <summary>The writer is a process of the guard's. When told, it reads a disk that does not answer, and then no signal ends it. n2 has no fence device.</summary>
public sealed class HungDiskLab() : FencedLab("h")
{
    private HungDisk? disk;

    protected override string Driver => $"process: {{ command: [{At("writer")}, \"{{node}}\"], stop_timeout: 1s }}";

    protected override string DeviceOf(string node) => node == "n1" ? base.DeviceOf(node) : "";

    public override ValueTask InitializeAsync()
    {
        Script("writer", $$"""
            #!/bin/sh
            while :; do echo $1 >> {{Shared}}; [ -e {{At("$1.hangs")}} ] && . {{At("$1.hangs")}}; sleep 0.02; done
            """);
        return base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await LetGoAsync();
        await base.DisposeAsync();
    }

    protected override async Task UndoAsync()
    {
        await LetGoAsync();
        await base.UndoAsync();
    }

    /// <summary>Its main process, or a child of that, waits for the disk from now on.</summary>
    internal async Task HangAsync(NodeName node, bool child)
    {
        disk = await HungDisk.MountAsync(Deadline());
        await File.WriteAllTextAsync(At($"{node}.hanging"), $"{(child ? "" : "exec ")}{disk.Read}", Deadline());
        File.Move(At($"{node}.hanging"), At($"{node}.hangs"));
        for (var deadline = Deadline(); !(await RunningPrograms.InAsync(Cluster.Network.Namespace(node.Value))).Any(program => program.Words[0] == "dd");) await Task.Delay(20, deadline);
    }

    internal async Task LetGoAsync()
    {
        foreach (var node in new[] { "n1", "n2" }) File.Delete(At($"{node}.hangs"));
        if (disk is not null) await disk.DisposeAsync();
        disk = null;
    }

    // Without power no process waits for anything; nobody is left to see that.
    internal override void PullThePlug(NodeName node)
    {
        base.PullThePlug(node);
        disk?.LetGo();
    }
}

/// <summary>A process that not even SIGKILL ends may still write: its service goes elsewhere only after its node was cut off, or a person has ended it.</summary>
[Collection("namespaces")]
public sealed class HungServiceTests(HungDiskLab lab) : IClassFixture<HungDiskLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;
    private static readonly NodeName n1 = new("n1"), n2 = new("n2");

    [Fact]
    public async Task Process_ThatCannotBeKilled_ItsNodeIsCutOff_AndOnlyThenItMoves()
    {
        await BeginOnAsync(n1);
        var before = lab.Writers().Count;
        await lab.HangAsync(n1, child: false);
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("writer"), n2, Token));
        await lab.WrittenByAsync(n2);
        Assert.Equal(["n1", "n2"], lab.Writers().Skip(before - 1));
        Assert.Contains("could not be stopped: it did not end even when killed", (await lab.StatusAsync()).Nodes.Single(node => node.Name == n1).Fence!.Reason, StringComparison.Ordinal);
        lab.BringBack(n1);
        await lab.WholeAsync();
    }

    [Fact]
    public async Task ChildThatCannotBeKilled_OnANodeWithoutAFenceDevice_WaitsForAPerson()
    {
        await BeginOnAsync(n2);
        await lab.HangAsync(n2, child: true);
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("writer"), n1, Token));
        Finding? finding = null;
        for (var deadline = FencedLab.Deadline(); finding is null; finding = StatusFindings.Of(await lab.StatusAsync()).FirstOrDefault(found => found.Alert == "instance-stuck")) await Task.Delay(50, deadline);
        Assert.Contains("n2 has no fence device: it is blocked and needs a human", finding.What, StringComparison.Ordinal);
        Assert.Contains("evenkeel fence n2 --confirm", finding.Do, StringComparison.Ordinal);
        var written = lab.Lines(n1);
        await Task.Delay(1500, Token);
        Assert.Equal(written, lab.Lines(n1));
        var (code, explained) = await lab.EvenkeelAsync("explain", "writer");
        Assert.True(code == 0 && explained.Contains("needs a human", StringComparison.Ordinal), explained);
        await lab.LetGoAsync();
        await lab.WrittenByAsync(n1);
        await lab.WholeAsync();
    }

    private async Task BeginOnAsync(NodeName node)
    {
        await lab.RestoreAsync();
        if (await lab.OwnerAsync() != node) Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("writer"), node, Token));
        await lab.WrittenByAsync(node);
    }
}
