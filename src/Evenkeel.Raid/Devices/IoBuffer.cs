using System.Buffers;
using System.Collections.Concurrent;

namespace Evenkeel.Raid.Devices;

/// <summary>
/// Memory for requests: pinned, so that the kernel may keep its address; aligned to 4 KiB; used again and again. Sizes go in powers of
/// four from 4 KiB to 1 MiB; what is larger is borrowed from the runtime's pool and has neither property.
/// </summary>
public sealed class IoBuffer : IDisposable
{
    private const int SlabBytes = 4 << 20;
    private static readonly ConcurrentQueue<IoBuffer>[] Free = [.. Enumerable.Range(0, 5).Select(_ => new ConcurrentQueue<IoBuffer>())];
    private static readonly Lock Growing = new();
    private readonly byte[] _array;
    private readonly int _start;
    private readonly int _class;

    private IoBuffer(byte[] array, int start, int capacity, int sizeClass) => (_array, _start, Capacity, _class) = (array, start, capacity, sizeClass);

    /// <summary>Bytes that it has room for; at least what was asked for.</summary>
    public int Capacity { get; }

    /// <summary>All of it.</summary>
    public Memory<byte> Memory => _array.AsMemory(_start, Capacity);

    /// <summary>All of it.</summary>
    public Span<byte> Span => _array.AsSpan(_start, Capacity);

    /// <summary>Whether the address stays and is a multiple of 4 KiB.</summary>
    public bool IsPinned => _class >= 0;

    /// <summary>A buffer with any content; dispose it once, when nobody uses its memory any more.</summary>
    /// <param name="bytes">At least this many; 0 and up.</param>
    public static IoBuffer Rent(int bytes)
    {
        var sizeClass = ClassOf(bytes);
        if (sizeClass >= Free.Length) return new IoBuffer(ArrayPool<byte>.Shared.Rent(bytes), 0, bytes, -1);
        IoBuffer? buffer;
        while (!Free[sizeClass].TryDequeue(out buffer)) Grow(sizeClass);
        return buffer;
    }

    /// <summary>Gives it back.</summary>
    public void Dispose()
    {
        if (_class >= 0) Free[_class].Enqueue(this);
        else ArrayPool<byte>.Shared.Return(_array);
    }

    private static int ClassOf(int bytes)
    {
        var sizeClass = 0;
        for (var size = 4096; size < bytes; size *= 4)
            if (++sizeClass == Free.Length) break;
        return sizeClass;
    }

    // A slab at a time; never given back.
    private static void Grow(int sizeClass)
    {
        lock (Growing)
        {
            if (!Free[sizeClass].IsEmpty) return;
            var size = 4096 << (2 * sizeClass);
            var (slab, start) = IoArena.Cut(SlabBytes);
            for (var at = start; at + size <= start + SlabBytes; at += size) Free[sizeClass].Enqueue(new IoBuffer(slab, at, size, sizeClass));
        }
    }
}
