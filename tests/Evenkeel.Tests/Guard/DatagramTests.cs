using System.Security.Cryptography;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Datagrams;
using Xunit;

namespace Evenkeel.Tests.Guard;

/// <summary>What guards say survives the wire, and nothing else gets in.</summary>
public sealed class DatagramTests
{
    private static readonly GuardSession A = new(0xA), B = new(0xB);
    private static readonly byte[] Key = SHA256.HashData("key"u8);

    private static Configure Configuration(string self, params (int Number, byte[] Key)[] keys) => new("shop", new(self),
        [new(new("a"), ["127.0.0.1"], 1, true), new(new("b"), ["127.0.0.1"], 1, true)], Timings.Default,
        keys.ToDictionary(key => key.Number, key => key.Key));

    private static SealedChannel Channel(string self, GuardSession session, params (int, byte[])[] keys)
    {
        var channel = new SealedChannel(session);
        channel.Configure(Configuration(self, keys.Length > 0 ? keys : [(1, Key)]));
        return channel;
    }

    private static byte[] Seal(SealedChannel from, string to, ReadOnlySpan<byte> payload)
    {
        var packet = new byte[2000];
        return packet[..from.Seal(new(to), payload, packet)];
    }

    private static Opened Open(SealedChannel channel, byte[] packet) => channel.Open(packet, out _, out _, out _);

    /// <summary>Two channels that have greeted each other.</summary>
    private static (SealedChannel A, SealedChannel B) Acquainted()
    {
        var (a, b) = (Channel("a", A), Channel("b", B));
        Assert.Equal(Opened.Stale, Open(b, Seal(a, "b", [])));
        var greeting = new byte[200];
        Assert.Equal(Opened.Greeting, Open(a, greeting[..b.Seal(new("a"), [], greeting, A)]));
        Assert.Equal(Opened.Greeting, Open(b, Seal(a, "b", [])));
        return (a, b);
    }

    public static TheoryData<GuardDatagram> Datagrams => [
        new AskDatagram(A, new(1, long.MaxValue), [new(ResourceId.Vip("front"), new(3, 9), AskKind.Grant, true), new(ResourceId.Service("ä"), new(1, 0), AskKind.Promise, false)], [new(ResourceId.Volume("v"), new(1, 2))]),
        new AskDatagram(A, default, [], []),
        new AnswerDatagram(A, B, new(5, 6), [new(ResourceId.Vip("front"), new(1, 2), AnswerKind.Refused, TimeSpan.FromMilliseconds(7), new(2, 8))])];

    [Fact]
    public void Seal_KeyThatIsNamed_IsUsedThoughANewerOneIsThere_AndTheSessionGoesOnWhenItChanges()
    {
        var (a, b) = Acquainted();
        var other = SHA256.HashData("other"u8);
        Configure Ring(string self, int seals) => Configuration(self, (1, Key), (2, other)) with { SealingKey = seals };
        // One of the two has both keys, the other one not yet.
        a.Configure(Ring("a", 1));
        Assert.Equal(Opened.Payload, Open(b, Seal(a, "b", [1])));
        Assert.Equal(Opened.Payload, Open(a, Seal(b, "a", [1])));
        b.Configure(Ring("b", 1));
        a.Configure(Ring("a", 2));
        var recorded = Seal(a, "b", [2]);
        Assert.Equal(Opened.Payload, Open(b, recorded));
        Assert.Equal(Opened.Nothing, Open(b, recorded)); // once
        Assert.Equal(Opened.Payload, Open(a, Seal(b, "a", [2])));
        b.Configure(Ring("b", 2));
        a.Configure(Configuration("a", (2, other)) with { SealingKey = 2 });
        Assert.Equal(Opened.Payload, Open(a, Seal(b, "a", [3])));
        // What the old key sealed opens nothing any more.
        Assert.Equal(Opened.Nothing, Open(a, Seal(Channel("b", B), "a", [])));
    }

    [Theory]
    [MemberData(nameof(Datagrams))]
    public void Datagram_Written_IsReadAsItWas(GuardDatagram datagram)
    {
        var bytes = new byte[1300];
        var length = DatagramCodec.Write(datagram, bytes);
        Assert.True(DatagramCodec.TryRead(bytes.AsSpan(0, length), A, out var read));
        switch (datagram)
        {
            case AskDatagram sent:
                var ask = Assert.IsType<AskDatagram>(read);
                Assert.Equal((sent.Sender, sent.AskedAt), (ask.Sender, ask.AskedAt));
                Assert.Equal(sent.Asks, ask.Asks);
                Assert.Equal(sent.Releases, ask.Releases);
                break;
            case AnswerDatagram sent:
                var answer = Assert.IsType<AnswerDatagram>(read);
                Assert.Equal((sent.Sender, sent.To, sent.AskedAt), (answer.Sender, answer.To, answer.AskedAt));
                Assert.Equal(sent.Answers, answer.Answers);
                break;
        }
        for (var shorter = 0; shorter < length; shorter++) Assert.False(DatagramCodec.TryRead(bytes.AsSpan(0, shorter), A, out _));
        Assert.False(DatagramCodec.TryRead(bytes.AsSpan(0, length + 1), A, out _));
    }

    [Fact]
    public void Bytes_AtRandom_AreRefusedWithoutAnException()
    {
        var random = new Random(1);
        var bytes = new byte[200];
        for (var i = 0; i < 20_000; i++)
        {
            random.NextBytes(bytes);
            bytes[0] = (byte)(1 + i % 2);
            _ = DatagramCodec.TryRead(bytes.AsSpan(0, random.Next(bytes.Length)), A, out _);
        }
    }

    [Fact]
    public void Payload_BetweenAcquaintedGuards_ArrivesOnce()
    {
        var (a, b) = Acquainted();
        var packet = Seal(a, "b", "hello"u8);
        Assert.Equal(Opened.Payload, b.Open(packet, out var from, out var session, out var payload));
        Assert.Equal("hello"u8, payload);
        Assert.Equal((new NodeName("a"), A), (from, session));
        Assert.Equal(Opened.Nothing, Open(b, packet));
    }

    [Fact]
    public void Payload_ChangedAnywhere_IsRefused()
    {
        var (a, b) = Acquainted();
        var packet = Seal(a, "b", "hello"u8);
        for (var at = 0; at < packet.Length; at++)
        {
            var forged = packet.ToArray();
            forged[at] ^= 1;
            Assert.Equal(Opened.Nothing, Open(b, forged));
        }
        Assert.Equal(Opened.Payload, Open(b, packet));
    }

    [Fact]
    public void Payload_RecordedBeforeTheReceiverRestarted_IsNotDelivered()
    {
        var (a, _) = Acquainted();
        var recorded = Seal(a, "b", "hello"u8);
        var restarted = Channel("b", new(0xBB));
        Assert.Equal(Opened.Stale, Open(restarted, recorded));
    }

    [Fact]
    public void Payload_ReflectedToItsSender_IsRefused()
    {
        var (a, _) = Acquainted();
        Assert.Equal(Opened.Nothing, Open(a, Seal(a, "b", "hello"u8)));
    }

    [Fact]
    public void Keys_WhileTheyAreRotated_OpenOldAndNew()
    {
        var newKey = SHA256.HashData("new"u8);
        var (a, b) = Acquainted();
        b.Configure(Configuration("b", (1, Key), (2, newKey)));
        Assert.Equal(Opened.Payload, Open(b, Seal(a, "b", "old"u8)));
        a.Configure(Configuration("a", (1, Key), (2, newKey)));
        Assert.Equal(Opened.Payload, Open(b, Seal(a, "b", "new"u8)));
        a.Configure(Configuration("a", (1, Key)));
        b.Configure(Configuration("b", (2, newKey)));
        Assert.Equal(Opened.Nothing, Open(b, Seal(a, "b", "retired"u8)));
    }

    [Fact]
    public void Window_TakesEachCounterOnceInAnyOrder()
    {
        var window = new ReplayWindow();
        Assert.False(window.TryTake(0));
        foreach (var counter in (ulong[])[5, 3, 4, 1, 200, 100, 73]) Assert.True(window.TryTake(counter), $"{counter}");
        foreach (var counter in (ulong[])[5, 3, 4, 1, 200, 100, 73, 72, 2]) Assert.False(window.TryTake(counter), $"{counter}");
    }
}
