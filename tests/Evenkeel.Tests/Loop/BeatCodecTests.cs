using CsCheck;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Loop;

public sealed class BeatCodecTests
{
    private static Beat Full() => new()
    {
        Sender = new("n1"),
        Session = ulong.MaxValue,
        Sequence = 123_456_789,
        Revision = long.MaxValue,
        Incarnation = 3,
        Controller = new Controller(new("n2"), 17),
        Heard = [new Echo(new("n2"), 7, 99), new Echo(new("n3"), 8, 0)],
        Facts = new NodeFacts
        {
            Guard = new(42),
            Ready = true,
            PublicUp = false,
            LoadPerCore = 1.5,
            Restarting = true,
            Program = "1.2.3+abc",
            StateFormat = 7,
            Finishing = [new Carried("web", new("n2")), new Carried("tcp", new("n3"))],
            Shut = [new ShutDoor("front", "203.0.113.10:9100 is in use")],
            Concerns = [new NodeConcern(NodeConcern.SnapshotFails, "no room"), new NodeConcern("of-a-later-version", "läuft")],
            Held = [new HeldLease(ResourceId.Vip("front"), new Epoch(3, 12))],
            Ended = [new HeldLease(ResourceId.Service("db"), new Epoch(2, 1))],
            Instances = [new InstanceFacts("db", InstanceStatus.Running, Health.Unhealthy) { Epoch = new(3, 4), ProcessId = 77, Restarts = 2, Position = 1L << 40, Detail = "läuft", Replication = Copy, Ban = Ban.Everywhere, PromotionScore = -InstanceFacts.InfiniteScore }, new InstanceFacts("reports", InstanceStatus.Stuck, Health.Unknown)],
        },
    };

    private static ReplicationFacts Copy => new()
    {
        Data = "7412345678901234567", Timeline = 3, Upstream = new("n2"), Streaming = true,
        Required = [new("n2")], Synchronous = [new("n2")], Followers = [new("n2"), new("n3")],
    };

    [Fact]
    public void Beat_EncodedAndDecoded_IsTheSame()
    {
        var back = BeatCodec.Decode(BeatCodec.Encode(Full()))!;
        Assert.Equal(BeatCodec.Encode(Full()), BeatCodec.Encode(back));
        Assert.Equal(Full().Heard, back.Heard);
        Assert.Equal(Full().Facts.Instances, back.Facts.Instances);
        Assert.Equal(Full().Controller, back.Controller);
        Assert.Equal(Full().Facts.Concerns, back.Facts.Concerns);
        Assert.Equal((true, "1.2.3+abc", 7), (back.Facts.Restarting, back.Facts.Program, back.Facts.StateFormat));
        Assert.Equal(Full().Facts.Finishing, back.Facts.Finishing);
        Assert.Equal(Full().Facts.Shut, back.Facts.Shut);
    }

    [Fact]
    public void Beat_InTheVersionBefore_LacksOnlyWhatThatDoesNotKnow()
    {
        var back = BeatCodec.Decode(BeatCodec.Encode(Full(), BeatCodec.Oldest))!;
        Assert.Empty(back.Facts.Finishing);
        Assert.Empty(back.Facts.Shut);
        Assert.Empty(back.Facts.Concerns);
        Assert.Equal((Ban.None, (int?)null), (back.Facts.Instances[0].Ban, back.Facts.Instances[0].PromotionScore));
        var first = back.Facts.Instances[0] with { Ban = Ban.Everywhere, PromotionScore = -InstanceFacts.InfiniteScore };
        var rest = back with { Facts = back.Facts with { Instances = [first, .. back.Facts.Instances.Skip(1)], Finishing = Full().Facts.Finishing, Shut = Full().Facts.Shut, Concerns = Full().Facts.Concerns } };
        Assert.Equal(BeatCodec.Encode(Full()), BeatCodec.Encode(rest));
        Assert.Empty(BeatCodec.Decode(BeatCodec.Encode(Full(), 4))!.Facts.Concerns);
    }

    [Fact]
    public void Concerns_MoreOrLongerThanABeatCarries_AreCut()
    {
        var many = Full() with { Facts = new NodeFacts { Concerns = [.. Enumerable.Range(0, 20).Select(i => new NodeConcern(NodeConcern.EtcdDown, new string('x', 1000)))] } };
        var concerns = BeatCodec.Decode(BeatCodec.Encode(many))!.Facts.Concerns;
        Assert.Equal(10, concerns.Count);
        Assert.All(concerns, concern => Assert.Equal(200, concern.What.Length));
    }

    [Fact]
    public void Facts_WithAnotherConcern_SayAnother()
    {
        var facts = Full().Facts;
        Assert.True(facts.SayTheSameAs(Full().Facts with { Concerns = [.. facts.Concerns] }));
        Assert.False(facts.SayTheSameAs(Full().Facts with { Concerns = [] }));
    }

    [Fact]
    public void Beat_CutShortAnywhere_IsRefused()
    {
        foreach (var bytes in new[] { BeatCodec.Encode(Full()), BeatCodec.Encode(Full(), BeatCodec.Version - 1), BeatCodec.Encode(Full(), BeatCodec.Oldest) })
        {
            for (var length = 0; length < bytes.Length; length++) Assert.Null(BeatCodec.Decode(bytes.AsMemory(0, length)));
            Assert.Null(BeatCodec.Decode((byte[])[.. bytes, 0]));
        }
    }

    [Fact]
    public void Garbage_Decoded_NeverThrows() =>
        Gen.Byte.Array[0, 300].Sample(bytes =>
        {
            if (bytes.Length > 0) bytes[0] = (byte)(BeatCodec.Oldest + bytes.Length % (BeatCodec.Version - BeatCodec.Oldest + 1));
            _ = BeatCodec.Decode(bytes);
        });

    [Fact]
    public void Beat_OfAnotherVersion_IsRefused()
    {
        var bytes = BeatCodec.Encode(Full());
        bytes[0]++;
        Assert.Null(BeatCodec.Decode(bytes));
        bytes[0] = BeatCodec.Oldest - 1;
        Assert.Null(BeatCodec.Decode(bytes));
    }
}
