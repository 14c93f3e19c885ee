using System.Diagnostics;
using System.Runtime.InteropServices;
using Evenkeel.Raid.Parity;

namespace Evenkeel.RaidBench;

/// <summary>XOR, P+Q, and two lost data blocks, in GB of data a second; both libraries on the same memory, turn about, results compared.</summary>
internal static unsafe class ParityPart
{
    private const int Data = 8;
    private const double Seconds = 0.25;

    public static void Run(Table table, int rounds)
    {
        foreach (var length in new[] { 4096, 65536, 524288 }) Run(table, rounds, length);
    }

    private static void Run(Table table, int rounds, int length)
    {
        var size = (nuint)((Data + 4) * length);
        var memory = (byte*)NativeMemory.AlignedAlloc(size, 4096);
        new Random(1).NextBytes(new Span<byte>(memory, (int)size));
        var kernel = ParityKernel.Best;
        // The other library works on P and Q two places further on.
        var theirs = stackalloc nint[Data + 2];
        for (var i = 0; i < Data + 2; i++) theirs[i] = (nint)(memory + (i < Data ? i : i + 2) * length);
        // What is left of the row, then P and Q; and the two lost blocks.
        var sources = stackalloc nint[Data];
        for (var i = 0; i < Data; i++) sources[i] = (nint)(memory + (i + 2) * length);
        var lostRows = stackalloc nint[2];
        lostRows[0] = (nint)memory;
        lostRows[1] = (nint)(memory + length);
        var recovery = RecoveryTables();

        for (var round = 0; round < rounds; round++)
        {
            Measure(table, $"XOR of {Data} × {length / 1024} KiB, GB/s", length, round,
                () => kernel.Xor(Blocks(0, Data), Data, Blocks(Data, 1)), () => Accepted(IsaL.Xor(Data + 1, length, theirs)));
            Same(Blocks(Data, 1), Blocks(Data + 2, 1));
            Measure(table, $"P+Q of {Data} × {length / 1024} KiB, GB/s", length, round,
                () => kernel.Syndrome(Blocks(0, Data), Data, Blocks(Data, 1), Blocks(Data + 1, 1)), () => Accepted(IsaL.PQ(Data + 2, length, theirs)));
            Same(Blocks(Data, 2), Blocks(Data + 2, 2));
            var lost = Blocks(0, 2).ToArray();
            Measure(table, $"two of {Data} × {length / 1024} KiB recovered, GB/s", length, round,
                () => StripeRecovery.Recover(kernel, Blocks(0, Data + 2), Data, 2, [0, 1]), Decode);
            Same(lost, Blocks(0, 2));
        }

        NativeMemory.AlignedFree(memory);

        Span<byte> Blocks(int first, int count) => new(memory + first * length, count * length);
        void Decode()
        {
            fixed (byte* tables = recovery) IsaL.Encode(length, Data, 2, tables, sources, lostRows);
        }
    }

    // From P = ΣDᵢ and Q = ΣgⁱDᵢ: D₀ = a·P' + b·Q', D₁ = P' + D₀ where P', Q' lack the lost blocks, a = g/(1+g), b = 1/(1+g).
    private static byte[] RecoveryTables()
    {
        var matrix = new byte[2 * Data];
        var inverse = GaloisField.Inverse(3);
        byte a = GaloisField.Multiply(2, inverse), b = inverse;
        for (var i = 0; i < Data - 2; i++)
        {
            matrix[i] = (byte)(a ^ GaloisField.Multiply(b, GaloisField.Power(i + 2)));
            matrix[Data + i] = (byte)(matrix[i] ^ 1);
        }

        (matrix[Data - 2], matrix[Data - 1]) = (a, b);
        (matrix[2 * Data - 2], matrix[2 * Data - 1]) = ((byte)(a ^ 1), b);
        var tables = new byte[32 * Data * 2];
        fixed (byte* from = matrix, to = tables) IsaL.InitTables(Data, 2, from, to);
        return tables;
    }

    private static void Same(ReadOnlySpan<byte> ours, ReadOnlySpan<byte> theirs)
    {
        if (!ours.SequenceEqual(theirs)) throw new InvalidOperationException("The libraries disagree.");
    }

    private static void Accepted(int code)
    {
        if (code != 0) throw new InvalidOperationException($"ISA-L refused the blocks (code {code}).");
    }

    private static void Measure(Table table, string row, int length, int round, Action ours, Action theirs)
    {
        // Turn about, so that a slow moment of the machine hits both.
        if (round % 2 == 0)
        {
            table.Add(row, "Evenkeel", Rate(ours, length));
            table.Add(row, "ISA-L", Rate(theirs, length));
        }
        else
        {
            table.Add(row, "ISA-L", Rate(theirs, length));
            table.Add(row, "Evenkeel", Rate(ours, length));
        }
    }

    private static double Rate(Action work, int length)
    {
        for (var i = 0; i < 200; i++) work();
        var watch = Stopwatch.StartNew();
        long done = 0;
        while (watch.Elapsed.TotalSeconds < Seconds)
        {
            for (var i = 0; i < 16; i++) work();
            done += 16;
        }

        return done * (double)length * Data / watch.Elapsed.TotalSeconds / 1e9;
    }
}
