using System.Numerics;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Evenkeel.Raid.PartialParity;

/// <summary>CRC-32C (Castagnoli, RFC 3720 appendix B.4) of a run of bytes.</summary>
internal static class Crc32C
{
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var crc = ~0u;
        for (; bytes.Length >= 8; bytes = bytes[8..]) crc = BitOperations.Crc32C(crc, ReadUInt64LittleEndian(bytes));
        foreach (var one in bytes) crc = BitOperations.Crc32C(crc, one);
        return ~crc;
    }
}
