using System.Runtime.Intrinsics;

namespace Evenkeel.Raid.Parity;

/// <summary>Products of a factor with the sixteen low and the sixteen high halves of a byte, for byte-shuffle instructions.</summary>
internal static class NibbleTable
{
    public static Vector128<byte> Low(byte factor) => Build(factor, shift: 0);

    public static Vector128<byte> High(byte factor) => Build(factor, shift: 4);

    private static Vector128<byte> Build(byte factor, int shift)
    {
        Span<byte> products = stackalloc byte[16];
        for (var nibble = 0; nibble < 16; nibble++) products[nibble] = GaloisField.Multiply(factor, (byte)(nibble << shift));
        return Vector128.Create<byte>(products);
    }
}
