using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Evenkeel.Raid.Parity;

/// <summary>The kernels, once for all lane widths. Four lanes at a time keep the load ports busy and stay within sixteen registers.</summary>
internal sealed class LaneKernel<TLane>(string name) : ParityKernel
    where TLane : struct, ILane<TLane>
{
    public override string Name => name;

    internal override int Width => TLane.Bytes;

    public override void Xor(ReadOnlySpan<byte> source, Span<byte> target)
    {
        var length = Check(source.Length, target.Length);
        ref var from = ref MemoryMarshal.GetReference(source);
        ref var to = ref MemoryMarshal.GetReference(target);
        for (nint i = 0; i < length; i += TLane.Bytes) Put(ref to, i, TLane.Xor(Get(ref from, i), Get(ref to, i)));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Xor(ReadOnlySpan<byte> blocks, int count, Span<byte> p)
    {
        nint length = CheckBlocks(blocks, count, p.Length);
        nint step = TLane.Bytes;
        ref var data = ref MemoryMarshal.GetReference(blocks);
        ref var target = ref MemoryMarshal.GetReference(p);
        for (nint i = 0; i < length; i += 4 * step)
        {
            TLane a = Get(ref data, i), b = Get(ref data, i + step), c = Get(ref data, i + 2 * step), d = Get(ref data, i + 3 * step);
            ref var block = ref Unsafe.Add(ref data, i);
            for (var n = 1; n < count; n++)
            {
                block = ref Unsafe.Add(ref block, length);
                a = TLane.Xor(a, Get(ref block, 0));
                b = TLane.Xor(b, Get(ref block, step));
                c = TLane.Xor(c, Get(ref block, 2 * step));
                d = TLane.Xor(d, Get(ref block, 3 * step));
            }

            Put(ref target, i, a);
            Put(ref target, i + step, b);
            Put(ref target, i + 2 * step, c);
            Put(ref target, i + 3 * step, d);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public override void Syndrome(ReadOnlySpan<byte> blocks, int count, Span<byte> p, Span<byte> q, int skipA = -1, int skipB = -1)
    {
        nint length = CheckBlocks(blocks, count, p.Length);
        Check(p.Length, q.Length);
        nint step = TLane.Bytes;
        ref var data = ref MemoryMarshal.GetReference(blocks);
        ref var sums = ref MemoryMarshal.GetReference(p);
        ref var weighted = ref MemoryMarshal.GetReference(q);
        for (nint i = 0; i < length; i += 2 * step)
        {
            TLane p0 = default, p1 = default, q0 = default, q1 = default;

            // Horner's rule from the last block down: Q = (…(D[n-1]·g + D[n-2])·g + …) + D[0].
            ref var block = ref Unsafe.Add(ref data, i + (count - 1) * length);
            for (var n = count - 1; n >= 0; n--, block = ref Unsafe.Subtract(ref block, length))
            {
                q0 = TLane.Double(q0);
                q1 = TLane.Double(q1);
                if (n == skipA || n == skipB) continue;
                TLane d0 = Get(ref block, 0), d1 = Get(ref block, step);
                p0 = TLane.Xor(p0, d0);
                p1 = TLane.Xor(p1, d1);
                q0 = TLane.Xor(q0, d0);
                q1 = TLane.Xor(q1, d1);
            }

            Put(ref sums, i, p0);
            Put(ref sums, i + step, p1);
            Put(ref weighted, i, q0);
            Put(ref weighted, i + step, q1);
        }
    }

    public override void MultiplyDifference(byte factor, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> target)
    {
        var length = Check(a.Length, b.Length, target.Length);
        TLane low = TLane.LowTable(factor), high = TLane.HighTable(factor);
        ref var first = ref MemoryMarshal.GetReference(a);
        ref var second = ref MemoryMarshal.GetReference(b);
        ref var to = ref MemoryMarshal.GetReference(target);
        for (nint i = 0; i < length; i += TLane.Bytes)
            Put(ref to, i, TLane.Multiply(TLane.Xor(Get(ref first, i), Get(ref second, i)), low, high));
    }

    public override void Update(byte factor, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, Span<byte> p, Span<byte> q)
    {
        var length = Check(before.Length, after.Length);
        if (!p.IsEmpty) Check(length, p.Length);
        if (!q.IsEmpty) Check(length, q.Length);
        TLane low = TLane.LowTable(factor), high = TLane.HighTable(factor);
        ref var old = ref MemoryMarshal.GetReference(before);
        ref var now = ref MemoryMarshal.GetReference(after);
        ref var sums = ref MemoryMarshal.GetReference(p);
        ref var weighted = ref MemoryMarshal.GetReference(q);
        for (nint i = 0; i < length; i += TLane.Bytes)
        {
            var delta = TLane.Xor(Get(ref old, i), Get(ref now, i));
            if (!p.IsEmpty) Put(ref sums, i, TLane.Xor(Get(ref sums, i), delta));
            if (!q.IsEmpty) Put(ref weighted, i, TLane.Xor(Get(ref weighted, i), TLane.Multiply(delta, low, high)));
        }
    }

    internal override void SolveTwo(byte a, byte b, ReadOnlySpan<byte> p, ReadOnlySpan<byte> q, Span<byte> dx, Span<byte> dy)
    {
        var length = Check(p.Length, q.Length, dx.Length);
        Check(length, dy.Length);
        TLane lowA = TLane.LowTable(a), highA = TLane.HighTable(a), lowB = TLane.LowTable(b), highB = TLane.HighTable(b);
        ref var sums = ref MemoryMarshal.GetReference(p);
        ref var weighted = ref MemoryMarshal.GetReference(q);
        ref var x = ref MemoryMarshal.GetReference(dx);
        ref var y = ref MemoryMarshal.GetReference(dy);
        for (nint i = 0; i < length; i += TLane.Bytes)
        {
            var pDelta = TLane.Xor(Get(ref sums, i), Get(ref x, i));
            var qDelta = TLane.Xor(Get(ref weighted, i), Get(ref y, i));
            var solved = TLane.Xor(TLane.Multiply(pDelta, lowA, highA), TLane.Multiply(qDelta, lowB, highB));
            Put(ref x, i, solved);
            Put(ref y, i, TLane.Xor(pDelta, solved));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static TLane Get(ref byte start, nint offset) => TLane.Load(ref Unsafe.Add(ref start, offset));

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put(ref byte start, nint offset, TLane value) => TLane.Store(value, ref Unsafe.Add(ref start, offset));

    private static int CheckBlocks(ReadOnlySpan<byte> blocks, int count, int length)
    {
        if (count < 1 || blocks.Length != (long)count * length) throw new ArgumentException($"{count} blocks of {length} bytes are not {blocks.Length} bytes.");
        return Check(length, length);
    }

    private static int Check(int length, int other) =>
        length == other && length % Granularity == 0
            ? length
            : throw new ArgumentException($"Blocks must have one length, a multiple of {Granularity}; got {length} and {other}.");

    private static int Check(int length, int second, int third) => Check(Check(length, second), third);
}
