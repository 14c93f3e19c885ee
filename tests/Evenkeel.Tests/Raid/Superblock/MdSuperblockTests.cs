using CsCheck;
using Evenkeel.Raid.Array;
using Evenkeel.Raid.Geometry;
using Evenkeel.Raid.Superblock;
using Evenkeel.Tests.Raid.Array;
using Xunit;

namespace Evenkeel.Tests.Raid.Superblock;

public sealed class MdSuperblockTests
{
    [Fact]
    public void Read_WhatWasWritten_IsTheSame()
    {
        var superblock = Sample();
        var read = MdSuperblockCodec.Read(Padded(superblock));
        Assert.Equal(superblock.Roles, read.Roles);
        Assert.Equal(superblock with { Roles = read.Roles, Reserved = read.Reserved }, read);
    }

    [Fact]
    public void Read_AnyBitFlipped_IsRefused()
    {
        var bytes = Padded(Sample());
        for (var bit = 0; bit < (256 + 2 * 128) * 8; bit++)
        {
            bytes[bit / 8] ^= (byte)(1 << (bit & 7));
            Assert.Throws<MdFormatException>(() => MdSuperblockCodec.Read(bytes));
            bytes[bit / 8] ^= (byte)(1 << (bit & 7));
        }
    }

    [Theory]
    [InlineData(MdFeatures.Reshape)]
    [InlineData(MdFeatures.Journal)]
    [InlineData(MdFeatures.Clustered)]
    [InlineData((MdFeatures)0x8000)]
    public void Read_FeatureNotUnderstood_IsRefusedByName(MdFeatures feature)
    {
        var refusal = Assert.Throws<MdFormatException>(() => MdSuperblockCodec.Read(Padded(Sample() with { Features = feature })));
        Assert.Contains(feature.ToString(), refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0x201u)]
    [InlineData(0x10102u)]
    [InlineData(0x103u)]
    public void Read_FarOrOffsetLayout_IsRefused(uint layout) =>
        Assert.Throws<MdFormatException>(() => MdSuperblockCodec.Read(Padded(Sample() with { Level = RaidLevel.Raid10, Layout = layout })));

    // With the checksum made right again the noise reaches the checks behind it: accepted or refused, never another exception.
    [Fact]
    public void Read_NoiseWithARightChecksum_NeverCrashes() => Gen.Select(Gen.Int[0, 511], Gen.Byte, Gen.Int[0, 511], Gen.Byte).Sample((at, value, at2, value2) =>
    {
        var bytes = Padded(Sample());
        (bytes[at], bytes[at2]) = (value, value2);
        ulong sum = 0;
        for (var i = 0; i < 512; i += 4) sum += i == 216 ? 0 : BitConverter.ToUInt32(bytes, i);
        BitConverter.TryWriteBytes(bytes.AsSpan(216), (uint)sum + (uint)(sum >> 32));
        try
        {
            MdSuperblockCodec.Read(bytes);
        }
        catch (MdFormatException)
        {
            // Refused in words.
        }
    }, iter: 5000);

    [Fact]
    public void BitmapHeader_NoiseOrUnknownVersion_IsRefusedOrRead() => Gen.Byte.Array[256].Sample(bytes =>
    {
        "bitm"u8.CopyTo(bytes);
        bytes.AsSpan(4, 4).Clear();
        bytes[4] = 4;
        try
        {
            Assert.InRange(BitmapHeader.Read(bytes).Bits, 0, 1 << 27);
        }
        catch (MdFormatException)
        {
            // Refused in words.
        }
    });

    [Fact]
    public async Task Open_ForeignOrDuplicateMembers_IsRefused()
    {
        var one = await Bench.CreateAsync(RaidLevel.Raid1, 2);
        var other = await Bench.CreateAsync(RaidLevel.Raid1, 2);
        await one.Array.StopAsync();
        await other.Array.StopAsync();
        await Assert.ThrowsAsync<AssemblyRefusedException>(() => Bench.OpenAsync([one.Disks[0], other.Disks[1]]));
        await Assert.ThrowsAsync<AssemblyRefusedException>(() => Bench.OpenAsync([one.Disks[0], one.Disks[0]]));
    }

    private static byte[] Padded(MdSuperblock superblock)
    {
        var bytes = new byte[MdSuperblockCodec.MaximumBytes];
        MdSuperblockCodec.Write(superblock).CopyTo(bytes, 0);
        return bytes;
    }

    private static MdSuperblock Sample() => new()
    {
        Features = MdFeatures.Bitmap,
        ArrayId = Guid.Parse("01234567-89ab-cdef-0123-456789abcdef"),
        Name = "host:vol",
        Created = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000).AddMicroseconds(123456),
        Updated = DateTimeOffset.FromUnixTimeSeconds(1_700_000_100),
        Level = RaidLevel.Raid5,
        Layout = 2,
        Size = 20480,
        ChunkSectors = 1024,
        Slots = 3,
        BitmapOffset = 8,
        Events = 42,
        Roles = [.. Enumerable.Range(0, 128).Select(i => i < 3 ? (ushort)i : MdSuperblock.SpareRole)],
        DataOffset = 2048,
        DataSize = 20480,
        DeviceNumber = 1,
        DeviceId = Guid.Parse("fedcba98-7654-3210-fedc-ba9876543210"),
        BadBlockSectors = 8,
        BadBlockOffset = 16,
    };
}
