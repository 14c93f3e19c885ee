using System.Net.Sockets;
using static System.Buffers.Binary.BinaryPrimitives;

namespace Evenkeel.Tests.Raid.Nbd;

/// <summary>NBD by hand, to say what no proper client says. Simple replies only.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly Socket _socket = new(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true, ReceiveTimeout = 20_000 };

    private RawClient(System.Net.EndPoint endpoint) => _socket.Connect(endpoint);

    /// <summary>Connected, greeting read and answered.</summary>
    public static RawClient Greeted(System.Net.EndPoint endpoint)
    {
        var client = new RawClient(endpoint);
        client.Receive(18);
        client.Send([0, 0, 0, 3]);
        return client;
    }

    /// <summary>In the transmission phase of an export, by EXPORT_NAME.</summary>
    public static RawClient Using(System.Net.EndPoint endpoint, string export)
    {
        var client = Greeted(endpoint);
        client.Send(Option(1, System.Text.Encoding.UTF8.GetBytes(export)));
        client.Receive(10);
        return client;
    }

    public static byte[] Option(uint option, byte[] data)
    {
        var bytes = new byte[16 + data.Length];
        "IHAVEOPT"u8.CopyTo(bytes);
        WriteUInt32BigEndian(bytes.AsSpan(8), option);
        WriteInt32BigEndian(bytes.AsSpan(12), data.Length);
        data.CopyTo(bytes, 16);
        return bytes;
    }

    public static byte[] Request(ushort flags, ushort command, ulong cookie, ulong offset, uint length)
    {
        var bytes = new byte[28];
        WriteUInt32BigEndian(bytes, 0x25609513);
        WriteUInt16BigEndian(bytes.AsSpan(4), flags);
        WriteUInt16BigEndian(bytes.AsSpan(6), command);
        WriteUInt64BigEndian(bytes.AsSpan(8), cookie);
        WriteUInt64BigEndian(bytes.AsSpan(16), offset);
        WriteUInt32BigEndian(bytes.AsSpan(24), length);
        return bytes;
    }

    public void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0) bytes = bytes[_socket.Send(bytes)..];
    }

    public byte[] Receive(int count)
    {
        var bytes = new byte[count];
        for (var at = 0; at < count;)
        {
            var read = _socket.Receive(bytes.AsSpan(at));
            if (read == 0) throw new EndOfStreamException();
            at += read;
        }

        return bytes;
    }

    /// <summary>The error of a simple reply to that cookie.</summary>
    public uint ReceiveReply(ulong cookie)
    {
        var reply = Receive(16);
        Xunit.Assert.Equal(0x67446698u, ReadUInt32BigEndian(reply));
        Xunit.Assert.Equal(cookie, ReadUInt64BigEndian(reply.AsSpan(8)));
        return ReadUInt32BigEndian(reply.AsSpan(4));
    }

    /// <summary>Reads until the server hangs up; it must, before long.</summary>
    public int DrainToEnd()
    {
        var bytes = new byte[65536];
        var total = 0;
        try
        {
            for (int read; (read = _socket.Receive(bytes)) > 0;) total += read;
        }
        catch (SocketException e) when (e.SocketErrorCode == SocketError.ConnectionReset)
        {
            // As good as an end.
        }

        return total;
    }

    public void ShutdownSend() => _socket.Shutdown(SocketShutdown.Send);

    public void Dispose() => _socket.Dispose();
}
