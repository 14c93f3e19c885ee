using System.Buffers;

namespace Evenkeel.Raid.Parity;

/// <summary>
/// Rebuilds what a stripe lacks, in place. A stripe in memory is contiguous: its data blocks in logical order, then P, then (RAID 6) Q.
/// A missing block's content on entry does not matter.
/// </summary>
public static class StripeRecovery
{
    /// <summary>Recomputes up to <paramref name="parities"/> missing blocks.</summary>
    /// <param name="kernel">The arithmetic to use.</param>
    /// <param name="stripe">(<paramref name="data"/> + <paramref name="parities"/>) blocks of one length.</param>
    /// <param name="data">Number of data blocks.</param>
    /// <param name="parities">1 (P) or 2 (P and Q).</param>
    /// <param name="missing">Indices into the stripe, ascending and distinct; P is <paramref name="data"/>, Q one more.</param>
    /// <exception cref="ArgumentException">More are missing than there are parities, or the sizes do not fit.</exception>
    public static void Recover(ParityKernel kernel, Span<byte> stripe, int data, int parities, ReadOnlySpan<int> missing)
    {
        if (missing.Length > parities) throw new ArgumentException($"{missing.Length} blocks lost; {parities} can be rebuilt.");
        if (missing.Length == 0) return;
        var length = stripe.Length / (data + parities);
        var view = new View(stripe, data, length);

        if (parities == 1)
        {
            XorOfOthers(kernel, view, missing[0]);
            return;
        }

        int first = missing[0], second = missing.Length > 1 ? missing[1] : -1;
        switch (first < data, second)
        {
            case (true, -1): XorOfOthers(kernel, view, first); break;
            case (true, _) when second == data: DataFromQ(kernel, view, first); break;
            case (true, _) when second == data + 1:
                XorOfOthers(kernel, view, first);
                ComputeQ(kernel, view);
                break;
            case (true, _): TwoData(kernel, view, first, second); break;
            case (false, -1) when first == data: kernel.Xor(view.Data, data, view.P); break;
            case (false, -1): ComputeQ(kernel, view); break;
            default: kernel.Syndrome(view.Data, data, view.P, view.Q); break;
        }
    }

    private static void XorOfOthers(ParityKernel kernel, View view, int lost)
    {
        var target = view.Block(lost);
        target.Clear();
        for (var index = 0; index <= view.Count; index++)
            if (index != lost) kernel.Xor(view.Block(index), target);
    }

    // Q alone: P is computed too but thrown away, because the P on disk may be the only right one of a dirty stripe.
    private static void ComputeQ(ParityKernel kernel, View view)
    {
        var scratch = ArrayPool<byte>.Shared.Rent(view.Length);
        kernel.Syndrome(view.Data, view.Count, scratch.AsSpan(0, view.Length), view.Q);
        ArrayPool<byte>.Shared.Return(scratch);
    }

    private static void DataFromQ(ParityKernel kernel, View view, int lost)
    {
        kernel.Syndrome(view.Data, view.Count, view.P, view.Block(lost), skipA: lost);
        kernel.MultiplyDifference(GaloisField.Power(-lost), view.Q, view.Block(lost), view.Block(lost));
        kernel.Xor(view.Block(lost), view.P);
    }

    private static void TwoData(ParityKernel kernel, View view, int x, int y)
    {
        Span<byte> dx = view.Block(x), dy = view.Block(y);
        kernel.Syndrome(view.Data, view.Count, dx, dy, x, y);
        var inverse = GaloisField.Inverse((byte)(GaloisField.Power(y - x) ^ 1));
        var a = GaloisField.Multiply(GaloisField.Power(y - x), inverse);
        var b = GaloisField.Multiply(GaloisField.Power(-x), inverse);
        kernel.SolveTwo(a, b, view.P, view.Q, dx, dy);
    }

    private readonly ref struct View(Span<byte> stripe, int count, int length)
    {
        private readonly Span<byte> _stripe = stripe;

        public int Count => count;

        public int Length => length;

        public Span<byte> Data => _stripe[..(count * length)];

        public Span<byte> P => Block(count);

        public Span<byte> Q => Block(count + 1);

        public Span<byte> Block(int index) => _stripe.Slice(index * length, length);
    }
}
