using System.Runtime.InteropServices;
using System.Text;
using Org.BouncyCastle.Crypto.Generators;

namespace Evenkeel.Backup.Crypto;

/// <summary>scrypt (RFC 7914): OpenSSL's, which .NET itself needs on Linux, several times faster than the managed one; that where OpenSSL cannot be had.</summary>
/// <remarks>Each command pays it once: it is most of what opening a repository costs.</remarks>
internal static unsafe class Scrypt
{
    // More than any key file may ask for (KeyFile): OpenSSL's own bound is 32 MiB.
    private const ulong MaximumMemory = 2UL << 30;
    private static readonly delegate* unmanaged<byte*, nuint, byte*, nuint, ulong, ulong, ulong, ulong, byte*, nuint, int> s_native = Find();

    /// <summary>Whether OpenSSL's is used.</summary>
    public static bool IsNative => s_native is not null;

    /// <summary>Derives <paramref name="length"/> bytes from a password.</summary>
    public static byte[] Derive(string password, byte[] salt, int cost, int blockSize, int parallelism, int length) =>
        TryNative(Encoding.UTF8.GetBytes(password), salt, cost, blockSize, parallelism, length) ?? Managed(password, salt, cost, blockSize, parallelism, length);

    internal static byte[] Managed(string password, byte[] salt, int cost, int blockSize, int parallelism, int length) =>
        SCrypt.Generate(Encoding.UTF8.GetBytes(password), salt, cost, blockSize, parallelism, length);

    private static byte[]? TryNative(byte[] password, byte[] salt, int cost, int blockSize, int parallelism, int length)
    {
        if (s_native is null)
        {
            return null;
        }
        var derived = new byte[length];
        // An empty array has no address to give.
        fixed (byte* secret = password.Length > 0 ? password : [0], seasoning = salt.Length > 0 ? salt : [0], to = derived)
        {
            return s_native(secret, (nuint)password.Length, seasoning, (nuint)salt.Length, (ulong)cost, (ulong)blockSize, (ulong)parallelism, MaximumMemory, to, (nuint)length) == 1 ? derived : null;
        }
    }

    private static delegate* unmanaged<byte*, nuint, byte*, nuint, ulong, ulong, ulong, ulong, byte*, nuint, int> Find()
    {
        foreach (var name in new[] { "libcrypto.so.3", "libcrypto.so.1.1" })
        {
            if (NativeLibrary.TryLoad(name, out var library) && NativeLibrary.TryGetExport(library, "EVP_PBE_scrypt", out var function))
            {
                return (delegate* unmanaged<byte*, nuint, byte*, nuint, ulong, ulong, ulong, ulong, byte*, nuint, int>)function;
            }
        }
        return null;
    }
}
