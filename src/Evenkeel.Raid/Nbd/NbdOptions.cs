using System.Buffers.Binary;
using System.Text;

namespace Evenkeel.Raid.Nbd;

/// <summary>Option haggling, client's side.</summary>
internal static class NbdOptions
{
    private const int MaximumReplies = 64;

    public static async Task SendAsync(Stream stream, NbdOption option, byte[] data, CancellationToken stop)
    {
        var message = new byte[16 + data.Length];
        BinaryPrimitives.WriteUInt64BigEndian(message, NbdProtocol.OptionMagic);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(8), (uint)option);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(12), data.Length);
        data.CopyTo(message, 16);
        await stream.WriteAsync(message, stop).ConfigureAwait(false);
    }

    /// <summary>Reads replies up to the acknowledgement and hands each information to the caller.</summary>
    /// <exception cref="IOException">The server refuses; its words are in the message.</exception>
    public static async Task ExpectAckAsync(Stream stream, NbdOption option, Action<byte[]> information, CancellationToken stop)
    {
        var head = new byte[20];
        for (var count = 0; count < MaximumReplies; count++)
        {
            await stream.ReadExactlyAsync(head, stop).ConfigureAwait(false);
            var length = BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(16));
            if (BinaryPrimitives.ReadUInt64BigEndian(head) != NbdProtocol.OptionReplyMagic
                || BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(8)) != (uint)option || length > NbdProtocol.MaximumOption)
                throw new IOException("The server broke the protocol.");
            var data = new byte[length];
            await stream.ReadExactlyAsync(data, stop).ConfigureAwait(false);
            switch ((NbdOptionReply)BinaryPrimitives.ReadUInt32BigEndian(head.AsSpan(12)))
            {
                case NbdOptionReply.Ack: return;
                case NbdOptionReply.Info: information(data); break;
                case var refusal: throw new IOException($"The server refuses {option}: {refusal} {Encoding.UTF8.GetString(data)}");
            }
        }

        throw new IOException("The server negotiates for ever.");
    }
}
