using System.Security.Cryptography;
using System.Text.Json;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Datagrams;
using Xunit;

namespace Evenkeel.Tests.VersionSkew;

/// <summary>
/// What goes over the wire, as bytes that were written down once: in every version that this program speaks it reads them, and
/// writes the same. Who changes a message without a version of its own meets them here, before an upgrade does.
/// </summary>
public sealed class GoldenWireTests
{
    private static readonly GuardSession session = new(0x0102030405060708), other = new(0x1112131415161718);

    private static Beat Beat => new()
    {
        Sender = new("n1"), Session = 0x0102030405060708, Sequence = 300, Revision = 70_000, Incarnation = 2, Controller = new Controller(new("n2"), 17),
        Heard = [new Echo(new("n2"), 7, 99)],
        Facts = new NodeFacts
        {
            Guard = session, Ready = true, PublicUp = true, StoreReachable = true, LoadPerCore = 1.5, WallClock = 1_795_972_498_508_973_100, Restarting = true, Program = "0.1.0+009d60f", StateFormat = 1,
            Held = [new HeldLease(ResourceId.Vip("front"), new Epoch(2, 5))], Ended = [new HeldLease(ResourceId.Service("db"), new Epoch(2, 4))],
            Instances =
            [
                new InstanceFacts("db", InstanceStatus.Running, Health.Healthy)
                {
                    Restarts = 1, Version = 0xABCD, Leaving = true, Epoch = new(2, 4), ProcessId = 77, Position = 1L << 40, Detail = "läuft",
                    Replication = new ReplicationFacts { Data = "74123", Timeline = 3, Upstream = new("n2"), Streaming = true, Required = [new("n2")], Synchronous = [new("n2")], Followers = [new("n2"), new("n3")], Transactions = 12 },
                    Ban = Ban.Everywhere, PromotionScore = 100,
                },
            ],
            Finishing = [new Carried("web", new("n2"))],
            Shut = [new ShutDoor("front", "203.0.113.10:80 is in use")],
            Concerns = [new NodeConcern(NodeConcern.EtcdDown, "etcd ended")],
        },
    };

    public static TheoryData<byte, string> Beats => new()
    {
        { 4, "04026e310807060504030201ac02f0a2040201026e321101026e320700000000000000630807060504030201010101000000000000f83f2c84ffcf7893ec1801097669702f66726f6e740205010a736572766963652f6462020401026462020101cdab00000000000001010204014d018080808080200105373431323303026e320101026e3201026e3202026e32026e330c066cc3a4756674010d302e312e302b3030396436306601" },
        { 5, "05026e310807060504030201ac02f0a2040201026e321101026e320700000000000000630807060504030201010101000000000000f83f2c84ffcf7893ec1801097669702f66726f6e740205010a736572766963652f6462020401026462020101cdab00000000000001010204014d018080808080200105373431323303026e320101026e3201026e3202026e32026e330c066cc3a47566740201a4853d010d302e312e302b30303964363066010103776562026e32010566726f6e74193230332e302e3131332e31303a383020697320696e207573650109657463642d646f776e0a6574636420656e646564" },
    };

    [Theory, MemberData(nameof(Beats))]
    public void Beat_OfEachVersionThatIsSpoken_IsReadAsItWasWrittenDown(byte version, string golden)
    {
        var written = Convert.ToHexStringLower(BeatCodec.Encode(Beat, version));
        Assert.True(golden == written, $"version {version} is {written}");
        var read = BeatCodec.Decode(Convert.FromHexString(golden))!;
        Assert.Equal((Beat.Sender, Beat.Session, Beat.Sequence, Beat.Revision, Beat.Incarnation, Beat.Controller), (read.Sender, read.Session, read.Sequence, read.Revision, read.Incarnation, read.Controller));
        Assert.Equal(Beat.Heard, read.Heard);
        Assert.Equal(Beat.Facts.Held, read.Facts.Held);
        Assert.Equal((session, true, "0.1.0+009d60f", 1), (read.Facts.Guard, read.Facts.Restarting, read.Facts.Program, read.Facts.StateFormat));
        var (sent, instance) = (Assert.Single(Beat.Facts.Instances), Assert.Single(read.Facts.Instances));
        Assert.Equal((sent.Version, sent.Position, sent.Detail, sent.Replication!.Data, sent.Replication.Transactions), (instance.Version, instance.Position, instance.Detail, instance.Replication!.Data, instance.Replication.Transactions));
        Assert.Equal(version >= 5 ? Beat.Facts.Concerns : [], read.Facts.Concerns);
    }

    [Fact]
    public void Beats_EveryVersionThatIsSpoken_IsWrittenDownHere() =>
        Assert.Equal(Enumerable.Range(BeatCodec.Oldest, BeatCodec.Version - BeatCodec.Oldest + 1).Select(version => (byte)version), Beats.Select(row => row.Data.Item1));

    public static TheoryData<GuardDatagram, string> Datagrams => new()
    {
        { new AskDatagram(session, new(1000, 2000), [new(ResourceId.Vip("front"), new(2, 5), AskKind.Grant, true), new(ResourceId.Service("db"), new(2, 4), AskKind.Promise, false)], [new(ResourceId.Volume("files"), new(1, 3))]),
            "01e803000000000000d0070000000000000200097669702f66726f6e7402000000000000000500000000000000820a736572766963652f6462020000000000000004000000000000000101000c766f6c756d652f66696c657301000000000000000300000000000000" },
        { new AnswerDatagram(session, other, new(1000, 2000), [new(ResourceId.Vip("front"), new(2, 5), AnswerKind.Granted, TimeSpan.FromMilliseconds(150), new(2, 5))]),
            "021817161514131211e803000000000000d0070000000000000100097669702f66726f6e74020000000000000005000000000000000260e316000000000002000000000000000500000000000000" },
    };

    [Theory, MemberData(nameof(Datagrams))]
    public void GuardsDatagram_IsReadAsItWasWrittenDown(GuardDatagram datagram, string golden)
    {
        var bytes = new byte[1000];
        var written = Convert.ToHexStringLower(bytes.AsSpan(0, DatagramCodec.Write(datagram, bytes)));
        Assert.True(golden == written, $"it is {written}");
        Assert.True(DatagramCodec.TryRead(Convert.FromHexString(golden), session, out var read));
        Assert.Equal(JsonSerializer.Serialize<object>(datagram), JsonSerializer.Serialize<object>(read));
    }

    /// <summary>Sealed by a guard of the version before with key 1 of cluster 'shop', n1 to n2.</summary>
    private const string Sealed = "010100000008070605040302010100000000000000026e31f2d9dfc70b1d520d5a2309311c19a01492c07172f1f9349b946e1f";

    [Fact]
    public void SealedDatagram_OfTheOneVersion_IsOpened_AndOfALaterOneIsNot()
    {
        using var n1 = Channel("n1", session);
        var packet = new byte[200];
        var written = Convert.ToHexStringLower(packet.AsSpan(0, n1.Seal(new("n2"), [1, 2, 3], packet, other)));
        Assert.True(Sealed == written, $"it is {written}");
        using var n2 = Channel("n2", other);
        var golden = Convert.FromHexString(Sealed);
        golden[0]++;
        Assert.Equal(Opened.Nothing, n2.Open(golden, out _, out _, out _));
        golden[0]--;
        Assert.Equal(Opened.Payload, n2.Open(golden, out var from, out var its, out var payload));
        Assert.Equal((new NodeName("n1"), session), (from, its));
        Assert.Equal([1, 2, 3], payload.ToArray());
    }

    private static SealedChannel Channel(string self, GuardSession own)
    {
        var channel = new SealedChannel(own);
        channel.Configure(new("shop", new(self), [new(new("n1"), ["10.77.0.11"], 7802, true), new(new("n2"), ["10.77.0.12"], 7802, true)], Timings.Default, new Dictionary<int, byte[]> { [1] = SHA256.HashData("key"u8) }));
        return channel;
    }
}
