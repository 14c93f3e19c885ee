using System.Net;
using Evenkeel.Guard.Enforcement.Netlink;
using Evenkeel.Guard.Enforcement.VirtualIp;
using Xunit;

namespace Evenkeel.Tests.Guard.Enforcement;

/// <summary>Messages against the layout of linux/netlink.h (little-endian machines).</summary>
public sealed class NetlinkTests
{
    [Fact]
    public void Writer_HeaderAttributeAndNest_ArePaddedAndMeasured()
    {
        var writer = new NetlinkWriter(256);
        writer.Begin(20, NetlinkWriter.Request | NetlinkWriter.Ack).Raw([1, 2, 3, 4]).Byte(11, 0xEB);
        var nest = writer.Open(3);
        writer.Net32(1, 7).Text(2, "ab").Close(nest).End();

        Assert.Equal(
            "30000000" + "1400" + "0500" + "01000000" + "00000000" + "01020304" + // length 48, type, flags, sequence, port; family header
            "05000B00EB000000" + "14000380" + "0800010000000007" + "0700020061620000", Convert.ToHexString(writer.Written));
    }

    [Fact]
    public void Reader_WhatTheWriterWrote_ComesBack()
    {
        var writer = new NetlinkWriter(256);
        writer.Begin(5, 0).Raw([9, 9, 9, 9]).Text(2, "eth0").End().Begin(6, 0).End();
        var reader = new NetlinkReader(writer.Written);
        Assert.True(reader.NextMessage(out var type, out _, out var body));
        Assert.Equal(5, type);
        var attributes = new NetlinkReader(body[4..]);
        Assert.True(attributes.NextAttribute(out var attribute, out var value));
        Assert.Equal(2, attribute);
        Assert.Equal("eth0", NetlinkReader.Text(value));
        Assert.True(reader.NextMessage(out type, out _, out _));
        Assert.Equal(6, type);
        Assert.False(reader.NextMessage(out _, out _, out _));
    }

    [Theory, InlineData(15), InlineData(0), InlineData(200)]
    public void Reader_DamagedLength_EndsTheWalk(byte length)
    {
        var message = new byte[20];
        message[0] = length;
        Assert.False(new NetlinkReader(message).NextMessage(out _, out _, out _));
    }

    // Laid out by linux/netfilter/nf_tables.h: list { element { key { value }, timeout } }; the end-to-end tests ask the kernel.
    [Fact]
    public void NftBatch_AddElement_NestsKeyAndTimeout()
    {
        var batch = new NftBatch(null);
        batch.Begin().Add(NftBatch.FamilyInet, "t", "s", IPAddress.Parse("10.0.0.1"), 250).Commit();
        var reader = new NetlinkReader(batch.Writer.Written);
        Assert.True(reader.NextMessage(out var begin, out _, out var beginBody));
        Assert.Equal(16, begin);
        Assert.Equal("0000000A", Convert.ToHexString(beginBody));
        Assert.True(reader.NextMessage(out var element, out var flags, out var body));
        Assert.Equal((10 << 8) | 12, element);
        Assert.Equal(NetlinkWriter.Request | NetlinkWriter.Ack | NetlinkWriter.Create, flags);
        Assert.Equal(
            "01000000" + "0600010074000000" + "0600020073000000" + "20000380" + "1C000180" + "0C000180" + "080001000A000001" + "0C00040000000000000000FA",
            Convert.ToHexString(body));
        Assert.True(reader.NextMessage(out var end, out _, out _));
        Assert.Equal(17, end);
    }
}
