using System.Net;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class FenceOperationsTests
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2");
    private static readonly StateCodec codec = new("shop");
    private static readonly GuardSession session = new(7);

    [Fact]
    public void CutOff_OfANodeWithADevice_IsAskedForOnce()
    {
        var state = State();
        var asked = Written(FenceOperations.CutOff(codec, state, n1, session, "smoke", Guid.NewGuid()));
        Assert.Equal((FencePhase.Asked, true, 5L, 2, session, "smoke"), (asked.Phase, asked.ByOperator, asked.Number, asked.Incarnation, asked.Session, asked.Reason));
        Assert.Contains("already", FenceOperations.CutOff(codec, With(state, asked), n1, session, "again", Guid.NewGuid()).Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void CutOff_WhatTheControllerAskedFor_IsTheOperatorsToo()
    {
        var asked = new FenceRecord(n1, 3, 2, FencePhase.Asked) { Reason = "lost" };
        var taken = Written(FenceOperations.CutOff(codec, With(State(), asked), n1, session, "smoke", Guid.NewGuid()));
        Assert.Equal((true, 3L), (taken.ByOperator, taken.Number));
    }

    [Fact]
    public void CutOff_WithoutADeviceOrANode_IsRefused()
    {
        Assert.Contains("no fence device", FenceOperations.CutOff(codec, State(), n2, session, "", Guid.NewGuid()).Refusal, StringComparison.Ordinal);
        Assert.Contains("there is no node n9", FenceOperations.CutOff(codec, State(), new NodeName("n9"), session, "", Guid.NewGuid()).Refusal, StringComparison.Ordinal);
    }

    [Fact]
    public void Confirm_WithoutADevice_IsTakenAtTheOperatorsWord()
    {
        var confirmed = Written(FenceOperations.Confirm(codec, State(), n2, session, "ann", Guid.NewGuid()));
        Assert.Equal((FencePhase.Confirmed, "ann says that it is off"), (confirmed.Phase, confirmed.Detail));
    }

    [Fact]
    public void Cancel_OfWhatIsDone_IsRefused_OfAWishNot()
    {
        var done = new FenceRecord(n1, 3, 2, FencePhase.Confirmed);
        Assert.Contains("cut off already", FenceOperations.Cancel(codec, With(State(), done), n1, Guid.NewGuid()).Refusal, StringComparison.Ordinal);
        Assert.Null(FenceOperations.Cancel(codec, With(State(), done with { Phase = FencePhase.Asked }), n1, Guid.NewGuid()).Transaction!.Writes.Single().Value);
        Assert.NotNull(FenceOperations.Cancel(codec, State(), n1, Guid.NewGuid()).Refusal);
    }

    [Fact]
    public void Record_OfBeforeARestore_DoesNotStandInTheWay()
    {
        var old = new FenceRecord(n1, 3, 1, FencePhase.Confirmed);
        Assert.Equal(2, Written(FenceOperations.CutOff(codec, With(State(), old), n1, session, "", Guid.NewGuid())).Incarnation);
    }

    private static FenceRecord Written(Operation operation)
    {
        var write = Assert.Single(operation.Transaction!.Writes);
        return System.Text.Json.JsonSerializer.Deserialize(write.Value!.Value.Span, StateJson.Default.FenceRecord)!;
    }

    private static ClusterState With(ClusterState state, FenceRecord record) => state with { Fences = state.Fences.SetItem(record.Node, new(record, 4)) };

    private static ClusterState State() => ClusterState.Empty with
    {
        Revision = 5,
        Incarnation = 2,
        IncarnationRevision = 1,
        Spec = new(new ClusterSpec
        {
            Cluster = "shop",
            Networks = new NetworksSpec(null, [IPNetwork.Parse("10.10.0.0/24")]),
            Vips = new Dictionary<string, VipSpec>(),
            Services = new Dictionary<string, ServiceSpec>(),
            Nodes = new[] { Node(n1, new FenceSpec("fence_dummy", new Dictionary<string, string>())), Node(n2, null) }.ToDictionary(node => node.Name),
        }, 1),
    };

    private static NodeSpec Node(NodeName name, FenceSpec? fence) => new() { Name = name, Private = [IPAddress.Loopback], Fence = fence };
}
