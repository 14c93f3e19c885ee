using static System.Buffers.Binary.BinaryPrimitives;

namespace Evenkeel.Raid.Nbd;

/// <summary>Replies as bytes. A structured one is a single chunk, the last at once: an error; data with their offset; or extents.</summary>
internal static class NbdReply
{
    /// <summary>The longest: a block status.</summary>
    public const int MaximumBytes = 24 + 8 * NbdExtent.Maximum;

    public static int Simple(Span<byte> bytes, NbdRequest request, NbdError error)
    {
        WriteUInt32BigEndian(bytes, NbdProtocol.SimpleReplyMagic);
        WriteUInt32BigEndian(bytes[4..], (uint)error);
        WriteUInt64BigEndian(bytes[8..], request.Cookie);
        return 16;
    }

    public static int Structured(Span<byte> bytes, NbdRequest request, NbdError error, List<NbdExtent> extents)
    {
        var type = error != NbdError.None ? NbdChunk.Error
            : request.Command == NbdCommand.BlockStatus ? NbdChunk.BlockStatus
            : request.Length == 0 ? NbdChunk.None
            : NbdChunk.OffsetData;
        var rest = bytes[20..];
        var (here, follows) = (0, 0u);
        switch (type)
        {
            case NbdChunk.Error:
                WriteUInt32BigEndian(rest, (uint)error);
                WriteUInt16BigEndian(rest[4..], 0); // no words
                here = 6;
                break;
            case NbdChunk.OffsetData:
                WriteUInt64BigEndian(rest, request.Offset);
                (here, follows) = (8, request.Length);
                break;
            case NbdChunk.BlockStatus:
                WriteUInt32BigEndian(rest, NbdProtocol.BaseAllocationId);
                here = 4;
                foreach (var extent in extents)
                {
                    WriteUInt32BigEndian(rest[here..], (uint)extent.Length);
                    WriteUInt32BigEndian(rest[(here + 4)..], extent.IsHole ? 3u : 0); // a hole that reads as zeros, or data
                    here += 8;
                }

                break;
        }

        WriteUInt32BigEndian(bytes, NbdProtocol.StructuredReplyMagic);
        WriteUInt16BigEndian(bytes[4..], 1);
        WriteUInt16BigEndian(bytes[6..], (ushort)type);
        WriteUInt64BigEndian(bytes[8..], request.Cookie);
        WriteUInt32BigEndian(bytes[16..], (uint)here + follows);
        return 20 + here;
    }
}
