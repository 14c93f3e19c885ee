using System.Buffers.Binary;

namespace Evenkeel.PrivateConnection.Transport;

/// <summary>What a message between agents is; a receiver passes over kinds that it does not know (a newer version's).</summary>
internal enum MessageKind : byte
{
    /// <summary>To be acknowledged.</summary>
    Beat = 1,
    /// <summary>Not to be acknowledged.</summary>
    UnaskedBeat = 2,
}

/// <summary>Messages on a stream: a 32-bit little-endian length, then that many bytes.</summary>
internal static class Framing
{
    public const int Header = 4;

    public static byte[] Frame(ReadOnlySpan<byte> message)
    {
        var frame = new byte[Header + message.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, message.Length);
        message.CopyTo(frame.AsSpan(Header));
        return frame;
    }

    /// <summary>A message between agents: its kind, then itself, in one frame.</summary>
    public static byte[] Frame(MessageKind kind, ReadOnlySpan<byte> message)
    {
        var frame = new byte[Header + 1 + message.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, 1 + message.Length);
        frame[Header] = (byte)kind;
        message.CopyTo(frame.AsSpan(Header + 1));
        return frame;
    }

    /// <summary>Changes the kind of a framed message.</summary>
    public static void SetKind(byte[] frame, MessageKind kind) => frame[Header] = (byte)kind;

    /// <returns>Null at the stream's end.</returns>
    /// <exception cref="InvalidDataException">The length is negative or over <paramref name="most"/>.</exception>
    public static byte[]? Read(Stream stream, int most)
    {
        Span<byte> header = stackalloc byte[Header];
        if (stream.ReadAtLeast(header, Header, throwOnEndOfStream: false) < Header)
        {
            return null;
        }

        var message = Room(header, most);
        return stream.ReadAtLeast(message, message.Length, throwOnEndOfStream: false) < message.Length ? null : message;
    }

    /// <inheritdoc cref="Read"/>
    public static async Task<byte[]?> ReadAsync(Stream stream, int most, CancellationToken cancellation)
    {
        var header = new byte[Header];
        if (await stream.ReadAtLeastAsync(header, Header, throwOnEndOfStream: false, cancellation).ConfigureAwait(false) < Header)
        {
            return null;
        }

        var message = Room(header, most);
        return await stream.ReadAtLeastAsync(message, message.Length, throwOnEndOfStream: false, cancellation).ConfigureAwait(false) < message.Length ? null : message;
    }

    private static byte[] Room(ReadOnlySpan<byte> header, int most)
    {
        var length = BinaryPrimitives.ReadInt32LittleEndian(header);
        return length >= 0 && length <= most ? new byte[length] : throw new InvalidDataException($"a message of {length} bytes; at most {most} are allowed");
    }
}
