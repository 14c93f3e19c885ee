using System.Buffers.Binary;
using System.Text;

namespace Evenkeel.PublicConnection.Balancer.Preface;

/// <summary>
/// The server name in the first message of a TLS connection (RFC 8446, 4.1.2; RFC 6066, 3), read without decrypting anything: that is
/// how a connection is routed by name and still encrypted from end to end.
/// </summary>
internal static class ClientHello
{
    /// <summary>Longest hello that is read; one with post-quantum key shares has about 2 KiB.</summary>
    public const int MostBytes = 16 * 1024;

    /// <param name="name">In lower case; null when the client names none, or does not speak TLS at all (then it is <see cref="PrefaceState.Invalid"/>).</param>
    public static PrefaceState Read(ReadOnlySpan<byte> bytes, out string? name)
    {
        name = null;
        // A hello may be cut into several records: put them together. Usually there is one, which needs no copy.
        ReadOnlySpan<byte> hello = default;
        var at = 0;
        while (true)
        {
            var rest = bytes[at..];
            if (rest.Length > 0 && rest[0] != 22) return PrefaceState.Invalid;
            if (rest.Length > 1 && rest[1] != 3) return PrefaceState.Invalid;
            if (rest.Length < 5) return PrefaceState.Incomplete;
            var length = BinaryPrimitives.ReadUInt16BigEndian(rest[3..]);
            if (length == 0 || length > MostBytes || at + 5 + length > MostBytes) return PrefaceState.Invalid;
            if (hello.IsEmpty && rest.Length > 5 && rest[5] != 1) return PrefaceState.Invalid;
            if (rest.Length < 5 + length) return PrefaceState.Incomplete;
            var part = rest.Slice(5, length);
            hello = hello.IsEmpty ? part : (ReadOnlySpan<byte>)(byte[])[.. hello, .. part];
            at += 5 + length;
            if (hello.Length < 4) continue;
            var whole = 4 + (hello[1] << 16 | hello[2] << 8 | hello[3]);
            if (whole > MostBytes) return PrefaceState.Invalid;
            if (hello.Length < whole) continue;
            return FindName(hello[4..whole], ref name) ? PrefaceState.Complete : PrefaceState.Invalid;
        }
    }

    private static bool FindName(ReadOnlySpan<byte> body, ref string? name)
    {
        // Version and random, then session id, cipher suites, compression methods, each with its length.
        if (!Skip(ref body, 34) || !SkipVector(ref body, 1) || !SkipVector(ref body, 2) || !SkipVector(ref body, 1)) return false;
        if (body.IsEmpty) return true;
        if (!Take(ref body, 2, out var extensions)) return false;
        while (!extensions.IsEmpty)
        {
            if (extensions.Length < 4) return false;
            var type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            if (!Take(ref extensions, 2, out var extension)) return false;
            if (type != 0) continue;
            if (!Take(ref extension, 2, out var names) || names.Length < 3 || names[0] != 0) return false;
            names = names[1..];
            if (!Take(ref names, 2, out var host) || host.IsEmpty || host.Length > 255) return false;
            foreach (var letter in host)
                if (letter is <= 0x20 or >= 0x7f) return false;
            name = Encoding.ASCII.GetString(host).ToLowerInvariant();
            return true;
        }
        return true;
    }

    private static bool Skip(ref ReadOnlySpan<byte> body, int bytes)
    {
        if (body.Length < bytes) return false;
        body = body[bytes..];
        return true;
    }

    private static bool SkipVector(ref ReadOnlySpan<byte> body, int lengthBytes) => Take(ref body, lengthBytes, out _);

    private static bool Take(ref ReadOnlySpan<byte> body, int lengthBytes, out ReadOnlySpan<byte> content)
    {
        content = default;
        if (body.Length < lengthBytes) return false;
        var length = lengthBytes == 1 ? body[0] : BinaryPrimitives.ReadUInt16BigEndian(body);
        if (body.Length < lengthBytes + length) return false;
        content = body.Slice(lengthBytes, length);
        body = body[(lengthBytes + length)..];
        return true;
    }
}
