using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Fencing;

/// <summary>What does not end with a lease goes elsewhere only after its node was cut off: never two writers of a shared disk.</summary>
[Collection("namespaces")]
public sealed class FencedServiceTests(FencedLab lab) : IClassFixture<FencedLab>
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task FrozenNode_WhoseWriterGoesOn_IsCutOffBeforeAnotherWrites()
    {
        await lab.RestoreAsync();
        var (owner, other) = await OwnerAndOtherAsync();
        await lab.WrittenByAsync(owner);
        var before = lab.Writers().Count;
        await lab.FreezeAllButTheWriterAsync(owner);
        await lab.WrittenByAsync(other);
        var written = lab.Lines(owner);
        await Task.Delay(500, Token);
        Assert.Equal(written, lab.Lines(owner));
        Assert.Equal([owner.Value, other.Value], lab.Writers().Skip(before - 1));
        var status = await lab.StatusAsync();
        var finding = Assert.Single(StatusFindings.Of(status), found => found.Subject == $"node/{owner}");
        Assert.Contains("is cut off", finding.What, StringComparison.Ordinal);
        lab.BringBack(owner);
        await lab.WholeAsync();
        await UntilAsync(report => Node(report, owner).Fence is null);
        Assert.Equal(other, await lab.OwnerAsync());
    }

    [Fact]
    public async Task Fence_ByAnOperator_EndsTheNode_AndOnBringsItBack()
    {
        await lab.RestoreAsync();
        var (owner, other) = await OwnerAndOtherAsync();
        var (refused, _) = await lab.EvenkeelAsync("fence", owner.Value);
        Assert.Equal(4, refused);
        var (code, output) = await lab.EvenkeelAsync("fence", owner.Value, "--yes");
        Assert.True(code == 0, output);
        Assert.Contains($"{owner} is cut off: {lab.Cluster.Spec.Nodes[owner].Fence!.Agent} says that {owner} is off", output, StringComparison.Ordinal);
        await lab.WrittenByAsync(other);
        var (on, said) = await lab.EvenkeelAsync("fence", owner.Value, "--on");
        Assert.True(on == 0, said);
        await lab.WholeAsync();
        await UntilAsync(report => Node(report, owner).Fence is null);
    }

    [Fact]
    public async Task Stop_ThatFails_CutsTheNodeOff_AndOnlyThenItMoves()
    {
        await lab.RestoreAsync();
        var (owner, other) = await OwnerAndOtherAsync();
        await lab.WrittenByAsync(owner);
        var before = lab.Writers().Count;
        lab.LetStopFail(owner);
        Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Service("writer"), other, Token));
        await lab.WrittenByAsync(other);
        Assert.Equal([owner.Value, other.Value], lab.Writers().Skip(before - 1));
        Assert.Contains("could not be stopped", Node(await lab.StatusAsync(), owner).Fence!.Reason, StringComparison.Ordinal);
        lab.BringBack(owner);
        await lab.WholeAsync();
    }

    [Fact]
    public async Task DeadDevice_NothingStartsElsewhere_UntilAnOperatorConfirms()
    {
        await lab.RestoreAsync();
        var (owner, other) = await OwnerAndOtherAsync();
        await lab.WrittenByAsync(owner);
        var before = lab.Writers().Count;
        lab.Break();
        try
        {
            await UntilAsync(report => StatusFindings.Of(report).Any(found => found.What.Contains("does not answer", StringComparison.Ordinal)));
            await lab.FreezeAllButTheWriterAsync(owner);
            await UntilAsync(report => Node(report, owner).Fence is { Detail.Length: > 0 });
            await Task.Delay(1000, Token);
            Assert.Equal(owner.Value, lab.Writers()[^1]);
            lab.PullThePlug(owner);
            Assert.Equal(0, (await lab.EvenkeelAsync("fence", owner.Value, "--confirm", "--yes")).Code);
            await lab.WrittenByAsync(other);
            Assert.Equal([owner.Value, other.Value], lab.Writers().Skip(before - 1));
        }
        finally
        {
            lab.Mend();
            lab.BringBack(owner);
        }
        await lab.WholeAsync();
    }

    private async Task<(NodeName Owner, NodeName Other)> OwnerAndOtherAsync()
    {
        var owner = await lab.OwnerAsync();
        return (owner, new NodeName(owner.Value == "n1" ? "n2" : "n1"));
    }

    private async Task UntilAsync(Func<StatusReport, bool> reached)
    {
        for (var deadline = FencedLab.Deadline(); !reached(await lab.StatusAsync());) await Task.Delay(50, deadline);
    }

    private static NodeReport Node(StatusReport report, NodeName name) => report.Nodes.Single(node => node.Name == name);
}
