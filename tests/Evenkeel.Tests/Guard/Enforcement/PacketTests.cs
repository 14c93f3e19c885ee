using System.Net;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Xunit;

namespace Evenkeel.Tests.Guard.Enforcement;

/// <summary>Bytes on the wire against the layouts of RFC 826, RFC 5227 and RFC 4861.</summary>
public sealed class PacketTests
{
    private static readonly byte[] Hardware = [0x02, 0x42, 0xac, 0x11, 0x00, 0x02];
    private static readonly IPAddress Four = IPAddress.Parse("203.0.113.10");
    private static readonly IPAddress Six = IPAddress.Parse("2001:db8::a:10");

    [Fact]
    public void WriteAnnouncement_RequestForm_HasAddressAsSenderAndTarget()
    {
        var frame = new byte[ArpPacket.Length];
        ArpPacket.WriteAnnouncement(frame, Hardware, Four);
        Assert.Equal("FFFFFFFFFFFF0242AC110002" + "0806" + "0001080006040001" + "0242AC110002CB00710A" + "000000000000CB00710A", Convert.ToHexString(frame));
    }

    [Fact]
    public void WriteReplyAnnouncement_IsOpcodeTwoWithOurHardwareAsTarget()
    {
        var frame = new byte[ArpPacket.Length];
        ArpPacket.WriteReplyAnnouncement(frame, Hardware, Four);
        Assert.Equal("FFFFFFFFFFFF0242AC110002" + "0806" + "0001080006040002" + "0242AC110002CB00710A" + "0242AC110002CB00710A", Convert.ToHexString(frame));
    }

    [Fact]
    public void WriteProbe_HasNoSenderAddress()
    {
        var frame = new byte[ArpPacket.Length];
        ArpPacket.WriteProbe(frame, Hardware, Four);
        Assert.Equal("FFFFFFFFFFFF0242AC110002" + "0806" + "0001080006040001" + "0242AC11000200000000" + "000000000000CB00710A", Convert.ToHexString(frame));
    }

    [Fact]
    public void TryRead_OwnAnnouncement_GivesSender_ButNotWhenShortOrForeign()
    {
        var frame = new byte[ArpPacket.Length];
        ArpPacket.WriteAnnouncement(frame, Hardware, Four);
        Assert.True(ArpPacket.TryRead(frame, out var hardware, out var sender));
        Assert.Equal(Hardware, hardware.ToArray());
        Assert.Equal(Four.GetAddressBytes(), sender.ToArray());
        Assert.False(ArpPacket.TryRead(frame.AsSpan(0, 41), out _, out _));
        frame[12] = 0x86;
        Assert.False(ArpPacket.TryRead(frame, out _, out _));
    }

    [Fact]
    public void WriteAdvertisement_HasOverrideAloneAndTargetLinkLayerOption()
    {
        var message = new byte[NeighbourPacket.Length];
        NeighbourPacket.WriteAdvertisement(message, Hardware, Six);
        Assert.Equal("88000000" + "20000000" + "20010DB80000000000000000000A0010" + "02010242AC110002", Convert.ToHexString(message));
        Assert.True(NeighbourPacket.TryReadAdvertisement(message, out var target, out var hardware));
        Assert.Equal(Six.GetAddressBytes(), target.ToArray());
        Assert.Equal(Hardware, hardware.ToArray());
    }

    [Fact]
    public void WriteSolicitation_HasSourceLinkLayerOption()
    {
        var message = new byte[NeighbourPacket.Length];
        NeighbourPacket.WriteSolicitation(message, Hardware, Six);
        Assert.Equal("87000000" + "00000000" + "20010DB80000000000000000000A0010" + "01010242AC110002", Convert.ToHexString(message));
        Assert.False(NeighbourPacket.TryReadAdvertisement(message, out _, out _));
    }

    [Fact]
    public void TryReadAdvertisement_OptionOfLengthZeroOrBeyondTheEnd_IsRefused()
    {
        var message = new byte[NeighbourPacket.Length];
        NeighbourPacket.WriteAdvertisement(message, Hardware, Six);
        message[25] = 0;
        Assert.False(NeighbourPacket.TryReadAdvertisement(message, out _, out _));
        message[25] = 2;
        Assert.False(NeighbourPacket.TryReadAdvertisement(message, out _, out _));
    }

    [Fact]
    public void SolicitedNodeMulticast_TakesTheLastThreeBytes() =>
        Assert.Equal(IPAddress.Parse("ff02::1:ff0a:10"), NeighbourPacket.SolicitedNodeMulticast(Six));
}
