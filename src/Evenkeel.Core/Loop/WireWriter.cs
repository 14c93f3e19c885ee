using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace Evenkeel.Core.Loop;

/// <summary>Appends numbers (LEB128), texts and lists to a growing buffer.</summary>
internal sealed class WireWriter
{
    private readonly ArrayBufferWriter<byte> buffer = new(512);

    public byte[] ToArray() => buffer.WrittenSpan.ToArray();

    public void Byte(byte value)
    {
        buffer.GetSpan(1)[0] = value;
        buffer.Advance(1);
    }

    public void Flag(bool value) => Byte(value ? (byte)1 : (byte)0);

    public void Fixed(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(buffer.GetSpan(8), value);
        buffer.Advance(8);
    }

    /// <summary>Never negative here: counters, epochs, positions.</summary>
    public void Number(long value)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(value);
        var rest = (ulong)value;
        for (; rest >= 0x80; rest >>= 7) Byte((byte)(rest | 0x80));
        Byte((byte)rest);
    }

    public void Text(string value)
    {
        var length = Encoding.UTF8.GetByteCount(value);
        Number(length);
        Encoding.UTF8.GetBytes(value, buffer.GetSpan(length));
        buffer.Advance(length);
    }

    public void List<T>(IReadOnlyList<T> items, Action<T> write)
    {
        Number(items.Count);
        foreach (var item in items) write(item);
    }
}
