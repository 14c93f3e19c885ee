using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.PublicConnection.Balancer.Preface;

internal enum PrefaceState
{
    /// <summary>It may become one: more bytes are needed.</summary>
    Incomplete,
    Complete,
    /// <summary>It is none and cannot become one.</summary>
    Invalid,
}

/// <summary>
/// The PROXY protocol, by which a proxy tells the next one who the client is (HAProxy, doc/proxy-protocol.txt: version 1 is one line
/// of text, version 2 is binary). Read only from peers that are trusted by configuration: anybody could write one.
/// </summary>
internal static class ProxyHeader
{
    /// <summary>Longest header that is read: version 2 with 2 KiB of extensions, which are skipped.</summary>
    public const int MostBytes = 16 + 2048;
    private const int MostTextBytes = 107;
    private static ReadOnlySpan<byte> Signature => "\r\n\r\n\0\r\nQUIT\n"u8;

    /// <param name="length">Bytes of the header, when complete.</param>
    /// <param name="client">Who connected; null when the proxy speaks for itself (LOCAL, UNKNOWN).</param>
    public static PrefaceState Read(ReadOnlySpan<byte> bytes, out int length, out IPEndPoint? client)
    {
        length = 0;
        client = null;
        if (bytes.IsEmpty) return PrefaceState.Incomplete;
        return bytes[0] == Signature[0] ? ReadBinary(bytes, ref length, ref client) : ReadText(bytes, ref length, ref client);
    }

    /// <summary>Writes a header into <paramref name="into"/> (at least 107 bytes) and returns its length.</summary>
    public static int Write(ProxyProtocol version, IPEndPoint client, IPEndPoint door, Span<byte> into) => version switch
    {
        ProxyProtocol.V1 => WriteText(client, door, into),
        ProxyProtocol.V2 => WriteBinary(client, door, into),
        _ => 0,
    };

    private static PrefaceState ReadBinary(ReadOnlySpan<byte> bytes, ref int length, ref IPEndPoint? client)
    {
        var known = Math.Min(bytes.Length, Signature.Length);
        if (!bytes[..known].SequenceEqual(Signature[..known])) return PrefaceState.Invalid;
        if (bytes.Length < 16) return PrefaceState.Incomplete;
        var whole = 16 + BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        if (bytes[12] is not (0x20 or 0x21) || whole > MostBytes) return PrefaceState.Invalid;
        if (bytes.Length < whole) return PrefaceState.Incomplete;
        length = whole;
        if (bytes[12] == 0x20) return PrefaceState.Complete;
        var size = (bytes[13] >> 4) switch { 1 => 4, 2 => 16, _ => 0 };
        // Another family than ours: the specification says to accept it and use the connection's own addresses.
        if (size == 0) return PrefaceState.Complete;
        if (whole < 16 + 2 * size + 4) return PrefaceState.Invalid;
        client = new IPEndPoint(Unmapped(new IPAddress(bytes.Slice(16, size))), BinaryPrimitives.ReadUInt16BigEndian(bytes[(16 + 2 * size)..]));
        return PrefaceState.Complete;
    }

    private static PrefaceState ReadText(ReadOnlySpan<byte> bytes, ref int length, ref IPEndPoint? client)
    {
        var start = "PROXY "u8;
        var known = Math.Min(bytes.Length, start.Length);
        if (!bytes[..known].SequenceEqual(start[..known])) return PrefaceState.Invalid;
        var end = bytes.IndexOf("\r\n"u8);
        if (end < 0) return bytes.Length < MostTextBytes ? PrefaceState.Incomplete : PrefaceState.Invalid;
        if (end + 2 > MostTextBytes) return PrefaceState.Invalid;
        length = end + 2;
        var words = Encoding.ASCII.GetString(bytes[..end]).Split(' ');
        if (words.Length >= 2 && words[1] == "UNKNOWN") return PrefaceState.Complete;
        if (words.Length != 6 || words[1] is not ("TCP4" or "TCP6")) return PrefaceState.Invalid;
        var family = words[1] == "TCP4" ? AddressFamily.InterNetwork : AddressFamily.InterNetworkV6;
        if (!IPAddress.TryParse(words[2], out var source) || source.AddressFamily != family || !IPAddress.TryParse(words[3], out var target) || target.AddressFamily != family
            || !TryPort(words[4], out var port) || !TryPort(words[5], out _)) return PrefaceState.Invalid;
        client = new IPEndPoint(Unmapped(source), port);
        return PrefaceState.Complete;
    }

    // A proxy that listens at [::] for both names its IPv4 clients so; access lists and limits mean them as IPv4.
    private static IPAddress Unmapped(IPAddress client) => client.IsIPv4MappedToIPv6 ? client.MapToIPv4() : client;

    private static bool TryPort(string word, out ushort port) => ushort.TryParse(word, NumberStyles.None, CultureInfo.InvariantCulture, out port);

    private static int WriteText(IPEndPoint client, IPEndPoint door, Span<byte> into)
    {
        var family = client.AddressFamily == AddressFamily.InterNetwork ? "TCP4" : "TCP6";
        var line = client.AddressFamily != door.AddressFamily ? "PROXY UNKNOWN\r\n"
            : string.Create(CultureInfo.InvariantCulture, $"PROXY {family} {Plain(client)} {Plain(door)} {client.Port} {door.Port}\r\n");
        return Encoding.ASCII.GetBytes(line, into);
    }

    // Without the scope: it means nothing to another machine.
    private static string Plain(IPEndPoint address) => new IPAddress(address.Address.GetAddressBytes()).ToString();

    private static int WriteBinary(IPEndPoint client, IPEndPoint door, Span<byte> into)
    {
        Signature.CopyTo(into);
        if (client.AddressFamily != door.AddressFamily)
        {
            (into[12], into[13], into[14], into[15]) = (0x21, 0, 0, 0);
            return 16;
        }
        var size = client.AddressFamily == AddressFamily.InterNetwork ? 4 : 16;
        into[12] = 0x21;
        into[13] = size == 4 ? (byte)0x11 : (byte)0x21;
        BinaryPrimitives.WriteUInt16BigEndian(into[14..], (ushort)(2 * size + 4));
        client.Address.TryWriteBytes(into[16..], out _);
        door.Address.TryWriteBytes(into[(16 + size)..], out _);
        BinaryPrimitives.WriteUInt16BigEndian(into[(16 + 2 * size)..], (ushort)client.Port);
        BinaryPrimitives.WriteUInt16BigEndian(into[(18 + 2 * size)..], (ushort)door.Port);
        return 20 + 2 * size;
    }
}
