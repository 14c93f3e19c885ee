using CsCheck;
using Evenkeel.Raid.Parity;
using Xunit;

namespace Evenkeel.Tests.Raid.Parity;

/// <summary>Every kernel this machine has, against sums written out byte by byte with the field's own multiplication.</summary>
public sealed class ParityKernelTests
{
    private static readonly Gen<(int Count, int Length, byte[] Data)> Stripes =
        from count in Gen.Int[1, 12]
        from halves in Gen.Int[1, 5]
        from data in Gen.Byte.Array[count * halves * ParityKernel.Granularity]
        select (count, halves * ParityKernel.Granularity, data);

    public static TheoryData<string> Kernels => [.. ParityKernel.Available.Select(kernel => kernel.Name)];

    [Fact]
    public void Available_OnAnyMachine_HoldsThePortableKernel() =>
        Assert.Contains(ParityKernel.Available, kernel => kernel.Name == "portable");

    [Fact]
    public void Multiply_AllPairs_EqualsLongMultiplication()
    {
        for (var a = 0; a < 256; a++)
        for (var b = 0; b < 256; b++)
        {
            var product = 0;
            for (var bit = 7; bit >= 0; bit--)
            {
                product <<= 1;
                if (product > 255) product ^= 0x11d;
                if ((b >> bit & 1) != 0) product ^= a;
            }

            Assert.Equal((byte)product, GaloisField.Multiply((byte)a, (byte)b));
            if (a != 0) Assert.Equal(1, GaloisField.Multiply((byte)a, GaloisField.Inverse((byte)a)));
        }
    }

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Syndrome_AnyStripe_EqualsTheWrittenOutSums(string name) => Stripes.Sample(stripe =>
    {
        var (count, length, data) = stripe;
        byte[] p = new byte[length], q = new byte[length], xor = new byte[length];
        Kernel(name).Syndrome(data, count, p, q);
        Kernel(name).Xor(data, count, xor);
        Assert.Equal(Sum(data, count, length, _ => 1), p);
        Assert.Equal(p, xor);
        Assert.Equal(Sum(data, count, length, i => GaloisField.Power(i)), q);
    }, iter: 60);

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Update_OneBlockChanged_GivesTheParityOfTheNewStripe(string name) =>
        Gen.Select(Stripes, Gen.Int[0, 11], Gen.Byte.Array[5 * ParityKernel.Granularity]).Sample((stripe, pick, noise) =>
        {
            var (count, length, data) = stripe;
            var index = pick % count;
            byte[] p = new byte[length], q = new byte[length];
            Kernel(name).Syndrome(data, count, p, q);
            var after = noise[..length];
            Kernel(name).Update(GaloisField.Power(index), data.AsSpan(index * length, length), after, p, q);
            after.CopyTo(data, index * length);
            Assert.Equal(Sum(data, count, length, _ => 1), p);
            Assert.Equal(Sum(data, count, length, i => GaloisField.Power(i)), q);
        }, iter: 60);

    [Theory]
    [MemberData(nameof(Kernels))]
    public void Recover_EveryOneAndTwoLost_GivesTheStripeBack(string name) => Stripes.Sample(stripe =>
    {
        var (count, length, data) = stripe;
        foreach (var parities in new[] { 1, 2 })
        {
            var whole = new byte[(count + parities) * length];
            data.CopyTo(whole, 0);
            Sum(data, count, length, _ => 1).CopyTo(whole, count * length);
            if (parities == 2) Sum(data, count, length, i => GaloisField.Power(i)).CopyTo(whole, (count + 1) * length);
            for (var x = 0; x < count + parities; x++)
            for (var y = x; y < (parities == 2 ? count + 2 : x + 1); y++)
            {
                int[] missing = x == y ? [x] : [x, y];
                var broken = (byte[])whole.Clone();
                foreach (var lost in missing) broken.AsSpan(lost * length, length).Fill(0xa5);
                StripeRecovery.Recover(Kernel(name), broken, count, parities, missing);
                Assert.True(whole.AsSpan().SequenceEqual(broken), $"{name}: {count}+{parities}, lost {x},{y}");
            }
        }
    }, iter: 12);

    [Fact]
    public void Recover_MoreLostThanParities_IsRefused() =>
        Assert.Throws<ArgumentException>(() => StripeRecovery.Recover(ParityKernel.Best, new byte[4 * 256], 3, 1, [0, 1]));

    private static ParityKernel Kernel(string name) => ParityKernel.Available.First(kernel => kernel.Name == name);

    private static byte[] Sum(byte[] data, int count, int length, Func<int, byte> weight)
    {
        var sum = new byte[length];
        for (var i = 0; i < count; i++)
        for (var at = 0; at < length; at++) sum[at] ^= GaloisField.Multiply(weight(i), data[i * length + at]);
        return sum;
    }
}
