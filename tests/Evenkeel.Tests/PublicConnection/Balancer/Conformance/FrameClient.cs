using System.Buffers.Binary;
using System.Net.Security;
using System.Text;
using Xunit;

namespace Evenkeel.Tests.PublicConnection.Balancer.Conformance;

internal enum FrameType : byte { Data, Headers, Priority, ResetStream, Settings, PushPromise, Ping, GoAway, WindowUpdate, Continuation }

internal sealed record Frame(FrameType Type, byte Flags, int Stream, byte[] Payload)
{
    /// <summary>Of RST_STREAM and GOAWAY (RFC 9113, 7).</summary>
    public uint ErrorCode() => BinaryPrimitives.ReadUInt32BigEndian(Payload.AsSpan(Type == FrameType.GoAway ? 4 : 0));
}

/// <summary>An HTTP/2 client that sends whatever frames it is told to (RFC 9113), and headers as plain literals (RFC 7541, 6.2.2).</summary>
internal sealed class FrameClient(SslStream stream) : IAsyncDisposable
{
    public const byte EndStream = 1, EndHeaders = 4;
    private readonly byte[] head = new byte[9];

    public static async Task<FrameClient> ConnectAsync(TlsDoor door)
    {
        var (stream, _) = await door.ConnectAsync(new SslClientAuthenticationOptions { TargetHost = "shop.example", ApplicationProtocols = [SslApplicationProtocol.Http2] });
        Assert.Equal(SslApplicationProtocol.Http2, stream.NegotiatedApplicationProtocol);
        var client = new FrameClient(stream);
        await client.SendAsync("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.ToArray());
        await client.SendAsync(FrameType.Settings, 0, 0, []);
        return client;
    }

    public Task SendAsync(byte[] bytes) => stream.WriteAsync(bytes, TestContext.Current.CancellationToken).AsTask();

    public Task SendAsync(FrameType type, byte flags, int id, byte[] payload) => SendAsync(Bytes(type, flags, id, payload));

    public static byte[] Bytes(FrameType type, byte flags, int id, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8 | (byte)type);
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), id);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>A block of headers, each character of a name or value one byte; the usual pseudo headers of a GET unless the first begins with a colon.</summary>
    public static byte[] Block(params (string Name, string Value)[] headers)
    {
        if (headers is not [{ Name: [':', ..] }, ..]) headers = [(":method", "GET"), (":scheme", "https"), (":authority", "shop.example"), (":path", "/"), .. headers];
        using var block = new MemoryStream();
        foreach (var (name, value) in headers)
        {
            block.WriteByte(0);
            Text(block, name);
            Text(block, value);
        }
        return block.ToArray();
    }

    /// <summary>The next frame; null when the balancer has ended the connection.</summary>
    public async Task<Frame?> ReadAsync()
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(8));
        try
        {
            await stream.ReadExactlyAsync(head, patience.Token);
            var payload = new byte[BinaryPrimitives.ReadInt32BigEndian(head) >> 8];
            await stream.ReadExactlyAsync(payload, patience.Token);
            return new((FrameType)head[3], head[4], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), payload);
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>What the stream, or the connection, comes to: an error's frame, the end of the answer, or null for the connection's end.</summary>
    public async Task<Frame?> OutcomeAsync(int id)
    {
        while (await ReadAsync() is { } frame)
        {
            if (frame.Type is FrameType.GoAway && frame.ErrorCode() != 0) return frame;
            if (frame.Stream == id && (frame.Type == FrameType.ResetStream || frame.Type is FrameType.Data or FrameType.Headers && (frame.Flags & EndStream) != 0)) return frame;
        }
        return null;
    }

    public ValueTask DisposeAsync() => stream.DisposeAsync();

    private static void Text(MemoryStream block, string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        if (bytes.Length < 127) block.WriteByte((byte)bytes.Length);
        else
        {
            // RFC 7541, 5.1, with a prefix of seven bits.
            block.WriteByte(127);
            var rest = bytes.Length - 127;
            for (; rest >= 128; rest >>= 7) block.WriteByte((byte)(rest & 127 | 128));
            block.WriteByte((byte)rest);
        }
        block.Write(bytes);
    }
}
