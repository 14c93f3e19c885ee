using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Evenkeel.Raid.Parity;

/// <summary>
/// The arithmetic of RAID 5 and 6 over blocks. A run of blocks is contiguous: block i starts at i × block length, which is how the
/// data of a full stripe arrives from a client. Every length is a multiple of <see cref="Granularity"/>; nothing is allocated.
/// </summary>
public abstract class ParityKernel
{
    /// <summary>Lengths are multiples of this many bytes (a sector), so no kernel needs a tail loop.</summary>
    public const int Granularity = 512;

    /// <summary>No instruction set assumed: the reference that the others are tested against.</summary>
    public static ParityKernel Portable { get; } = new LaneKernel<Lane64>("portable");

    /// <summary>The widest that this processor runs well.</summary>
    public static ParityKernel Best { get; } = Available.OrderByDescending(kernel => kernel.Width).First();

    /// <summary>Every kernel that this processor can run.</summary>
    public static IEnumerable<ParityKernel> Available
    {
        get
        {
            yield return Portable;
            if (Vector128.IsHardwareAccelerated) yield return new LaneKernel<Lane128>("128-bit");
            if (Avx2.IsSupported) yield return new LaneKernel<Lane256>("avx2");
            if (Avx512BW.IsSupported && Vector512.IsHardwareAccelerated) yield return new LaneKernel<Lane512>("avx512");
        }
    }

    /// <summary>The kernel's name, for benchmarks and diagnostics.</summary>
    public abstract string Name { get; }

    internal abstract int Width { get; }

    /// <summary><paramref name="target"/> ^= <paramref name="source"/>.</summary>
    public abstract void Xor(ReadOnlySpan<byte> source, Span<byte> target);

    /// <summary><paramref name="p"/> = XOR of all <paramref name="count"/> blocks.</summary>
    public abstract void Xor(ReadOnlySpan<byte> blocks, int count, Span<byte> p);

    /// <summary>
    /// P = Σ Dᵢ and Q = Σ gⁱ·Dᵢ over <paramref name="count"/> blocks; the blocks <paramref name="skipA"/> and <paramref name="skipB"/>
    /// count as zero and are not read, so P and Q may be written over them.
    /// </summary>
    public abstract void Syndrome(ReadOnlySpan<byte> blocks, int count, Span<byte> p, Span<byte> q, int skipA = -1, int skipB = -1);

    /// <summary><paramref name="target"/> = factor · (<paramref name="a"/> ^ <paramref name="b"/>); the target may be either.</summary>
    public abstract void MultiplyDifference(byte factor, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b, Span<byte> target);

    /// <summary>
    /// Read-modify-write: with data going from <paramref name="before"/> to <paramref name="after"/>, P ^= Δ and Q ^= factor·Δ.
    /// An empty <paramref name="p"/> or <paramref name="q"/> is left out.
    /// </summary>
    public abstract void Update(byte factor, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, Span<byte> p, Span<byte> q);

    /// <summary>
    /// The last step of recovering two data blocks: on entry <paramref name="dx"/> and <paramref name="dy"/> hold the P and Q of the
    /// other blocks; on return they hold Dx = a·(P+dx) + b·(Q+dy) and Dy = P + dx + Dx.
    /// </summary>
    internal abstract void SolveTwo(byte a, byte b, ReadOnlySpan<byte> p, ReadOnlySpan<byte> q, Span<byte> dx, Span<byte> dy);
}
