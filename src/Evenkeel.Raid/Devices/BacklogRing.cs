using System.Buffers;
using System.Runtime.InteropServices;

namespace Evenkeel.Raid.Devices;

/// <summary>
/// A fixed stretch of memory from which pieces are taken and given back in the same order. Outside the managed heap, which has a limit of
/// its own; pages that were never used take no room in the machine's memory. Not safe for concurrent calls.
/// </summary>
internal sealed unsafe class BacklogRing(int bytes) : MemoryManager<byte>
{
    private byte* _start = (byte*)NativeMemory.Alloc((nuint)bytes);
    private int _next;
    private int _used;

    /// <summary>A piece in one stretch; false while there is no room.</summary>
    /// <param name="taken">To be given back for it: what it leaves unused at the ring's end included.</param>
    public bool TryTake(int length, out Memory<byte> piece, out int taken)
    {
        // What is empty begins anew, so that a backlog that is small most of the time stays in few pages.
        if (_used == 0) _next = 0;
        // Nothing is skipped where the last piece ended exactly at the ring's end, and yet the next one is at its beginning.
        var (at, skipped) = _next + length > bytes ? (0, bytes - _next) : (_next, 0);
        (piece, taken) = (default, skipped + length);
        if (_used + taken > bytes) return false;
        (_next, _used, piece) = (at + length, _used + taken, Memory.Slice(at, length));
        return true;
    }

    /// <summary>The oldest piece is used no more.</summary>
    public void Give(int taken) => _used -= taken;

    public override Span<byte> GetSpan() => new(_start, bytes);

    public override MemoryHandle Pin(int elementIndex = 0) => new(_start + elementIndex);

    public override void Unpin()
    {
        // It never moves.
    }

    protected override void Dispose(bool disposing)
    {
        NativeMemory.Free(_start);
        _start = null;
    }
}
