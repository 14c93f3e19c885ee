using CsCheck;
using Evenkeel.Backup.Repository;
using Xunit;

namespace Evenkeel.Tests.Backup;

/// <summary>The native codec and the managed one read each other's frames: a machine without the first loses nothing.</summary>
public sealed class ZstdTests
{
    [Fact]
    public void NativeAndManaged_ReadEachOther() => Gen.Select(Gen.Byte[0, 3].Array[0, 5000], Gen.Bool).Sample((content, native) =>
    {
        using var writer = native ? Zstd.Create() : Zstd.CreateManaged();
        using var reader = native ? Zstd.CreateManaged() : Zstd.Create();
        var frame = new byte[Zstd.Bound(content.Length)];
        var length = writer.Compress(content, frame);
        var back = new byte[content.Length];
        return reader.TryDecompress(frame.AsSpan(0, length), back) && back.SequenceEqual(content) && reader.Decompress(frame[..length], 0, 1 << 20).SequenceEqual(content);
    }, iter: 200);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void TryDecompress_OfDamage_IsFalse(bool native)
    {
        using var codec = native ? Zstd.Create() : Zstd.CreateManaged();
        var content = new byte[10_000];
        var frame = new byte[Zstd.Bound(content.Length)];
        var length = codec.Compress(content, frame);
        Assert.False(codec.TryDecompress(frame.AsSpan(0, length - 1), content));
        Assert.False(codec.TryDecompress(frame.AsSpan(0, length), new byte[content.Length - 1]));
        frame[0] ^= 1;
        Assert.False(codec.TryDecompress(frame.AsSpan(0, length), content));
    }
}
