using Evenkeel.Backup.Chunking;
using Xunit;

namespace Evenkeel.Tests.Backup;

public sealed class ChunkingTests
{
    private const ulong TestPolynomial = 0x3DA3358B4DC173;

    [Fact]
    public void Polynomial_KnownOnes_AreTellApart()
    {
        Assert.True(Polynomial.IsIrreducible(TestPolynomial));
        Assert.True(Polynomial.IsIrreducible(0b10011)); // x⁴ + x + 1
        Assert.False(Polynomial.IsIrreducible(0b10101)); // (x² + x + 1)²
        Assert.False(Polynomial.IsIrreducible(TestPolynomial ^ 1)); // divisible by x
        Assert.Equal(53, Polynomial.Degree(Polynomial.Random()));
    }

    [Theory]
    [InlineData(0)]
    [InlineData(511 << 10)]
    [InlineData(512 << 10)]
    [InlineData((512 << 10) + 1)]
    [InlineData(20 << 20)]
    public void FindCut_FourLanes_CutsWhereTheByteByByteDefinitionCuts(int length)
    {
        var content = new byte[length];
        new Random(7).NextBytes(content);
        var cutter = new RabinCutter(TestPolynomial);
        var from = 0;
        while (from < length)
        {
            var cut = cutter.FindCut(content.AsSpan(from));
            Assert.Equal(CutByDefinition(content.AsSpan(from)), cut);
            from += cut;
        }
    }

    [Fact]
    public void FindCut_Zeros_CutsAtTheLargestSize() =>
        Assert.Equal(CutByDefinition(new byte[9 << 20]), new RabinCutter(TestPolynomial).FindCut(new byte[9 << 20]));

    /// <summary>The chunker as restic's documentation describes it: one byte at a time, window seeded with a single 1.</summary>
    private static int CutByDefinition(ReadOnlySpan<byte> content)
    {
        var window = new byte[64];
        window[0] = 1;
        var position = 1;
        var digest = 1UL;
        var leaving = new ulong[256];
        for (var b = 0; b < 256; b++)
        {
            leaving[b] = (ulong)b;
            for (var i = 0; i < 63; i++)
            {
                leaving[b] = Polynomial.Modulo(leaving[b] << 8, TestPolynomial);
            }
        }
        for (var i = (512 << 10) - 64; i < content.Length; i++)
        {
            digest ^= leaving[window[position % 64]];
            window[position++ % 64] = content[i];
            digest = Polynomial.Modulo((digest << 8) | content[i], TestPolynomial);
            var length = i + 1;
            if (length >= 512 << 10 && ((digest & ((1 << 20) - 1)) == 0 || length >= 8 << 20))
            {
                return length;
            }
        }
        return content.Length;
    }
}
