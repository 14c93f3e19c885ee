using System.Buffers.Binary;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop;

/// <summary>
/// Reads what <see cref="WireWriter"/> wrote. Once something does not fit, everything after reads as empty and
/// <see cref="Whole"/> stays false: the caller asks once, at the end.
/// </summary>
internal sealed class WireReader(ReadOnlyMemory<byte> message)
{
    private const int LongestText = 1024;
    private const int LongestList = 16384;
    private int at;
    private bool broken;

    /// <summary>Everything fitted, and nothing is left over.</summary>
    public bool Whole => !broken && at == message.Length;

    public byte Byte(byte most = byte.MaxValue)
    {
        if (broken || at >= message.Length || message.Span[at] > most) return Break<byte>();
        return message.Span[at++];
    }

    public bool Flag() => Byte(1) == 1;

    public ulong Fixed()
    {
        if (broken || message.Length - at < 8) return Break<ulong>();
        at += 8;
        return BinaryPrimitives.ReadUInt64LittleEndian(message.Span[(at - 8)..]);
    }

    public long Number()
    {
        ulong value = 0;
        for (var shift = 0; shift < 63; shift += 7)
        {
            var part = Byte();
            if (broken) return 0;
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80) return (long)value;
        }
        return Break<long>();
    }

    public int Small() => Number() is var value && value <= int.MaxValue ? (int)value : Break<int>();

    public string Text()
    {
        var length = Small();
        if (broken || length > LongestText || message.Length - at < length) return Break<string>() ?? "";
        at += length;
        return Encoding.UTF8.GetString(message.Span.Slice(at - length, length));
    }

    /// <summary><c>kind/name</c>; anything else is garbage.</summary>
    public ResourceId Resource()
    {
        var text = Text();
        if (text.IndexOf('/', StringComparison.Ordinal) <= 0) broken = true;
        return new ResourceId(text);
    }

    public IReadOnlyList<T> List<T>(Func<T> read)
    {
        var count = Small();
        if (broken || count > LongestList) return Break<T[]>() ?? [];
        List<T> items = [];
        for (var i = 0; i < count && !broken; i++) items.Add(read());
        return items;
    }

    private T? Break<T>()
    {
        broken = true;
        return default;
    }
}
