using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class OperationsTests
{
    private readonly StateCodec codec = new("shop");

    private ClusterState State(params Write[] more) => codec.Read(new StoreSnapshot(20,
        [.. new[] { codec.Put(StateCodecTests.Spec("n1", "n2", "n3")), codec.PutIncarnation(1) }.Concat(more).Select((write, i) => new StoreEntry(write.Key, write.Value!.Value, 10 + i))]));

    [Fact]
    public void Apply_ToAnEmptyStore_ComparesThatThereIsNothingAndBeginsTheFirstIncarnation()
    {
        var transaction = Operations.ApplySpec(codec, ClusterState.Empty, StateCodecTests.Spec("n1"), "version: 1", Guid.Empty).Transaction!;
        Assert.Contains(new Compare(codec.Keys.Spec, 0), transaction.Compares);
        Assert.Contains(transaction.Writes, write => write.Key == codec.Keys.Incarnation);
    }

    [Fact]
    public void Apply_OfAChange_ComparesTheSpecsRevision() =>
        Assert.Contains(new Compare(codec.Keys.Spec, 10), Operations.ApplySpec(codec, State(), StateCodecTests.Spec("n1", "n2", "n3", "n4"), "", Guid.Empty).Transaction!.Compares);

    [Fact]
    public void Apply_ThatChangesTwoVoters_IsRefused() =>
        Assert.Contains("one at a time", Operations.ApplySpec(codec, State(), StateCodecTests.Spec("n1"), "", Guid.Empty).Refusal, StringComparison.Ordinal);

    [Fact]
    public void Apply_OfAnotherClustersFile_IsRefused() =>
        Assert.NotNull(Operations.ApplySpec(codec, State(), StateCodecTests.Spec("n1", "n2", "n3") with { Cluster = "mill" }, "", Guid.Empty).Refusal);

    [Fact]
    public void Drain_OfTheLastActiveNode_IsRefused()
    {
        var state = State(codec.Put(new NodeRecord(new("n2"), NodeMode.Draining)), codec.Put(new NodeRecord(new("n3"), NodeMode.Maintenance)));
        Assert.Contains("no other node", Operations.Drain(codec, state, new("n1"), "", Guid.Empty).Refusal, StringComparison.Ordinal);
        Assert.NotNull(Operations.Drain(codec, State(), new("n1"), "", Guid.Empty).Transaction);
    }

    [Theory]
    [InlineData("vip/front", "n9", "no node n9")]
    [InlineData("vip/back", "n1", "no vip/back")]
    [InlineData("service/web", "n1", "several nodes")]
    [InlineData("service/db", "n2", "on n2 already")]
    public void Move_ThatCannotBe_SaysWhy(string resource, string to, string why)
    {
        var state = State(codec.Put(new Ownership(ResourceId.Service("db"), new Owner(new("n2"), new(1), new(1, 1)), new(1, 1))));
        Assert.Contains(why, Operations.Move(codec, state, new(resource), new(to), Guid.Empty).Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void BeginIncarnation_AfterASecondRestoreOfOneSnapshot_OutranksTheFirst()
    {
        var transaction = Operations.BeginIncarnation(codec, State(), highestKnown: 5, Guid.Empty).Transaction!;
        var state = codec.Read(new StoreSnapshot(1, [.. transaction.Writes.Select(write => new StoreEntry(write.Key, write.Value!.Value, 1))]));
        Assert.Equal(6, state.Incarnation);
    }
}
