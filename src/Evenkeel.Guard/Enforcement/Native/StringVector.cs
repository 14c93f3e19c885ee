using System.Runtime.InteropServices;
using System.Text;

namespace Evenkeel.Guard.Enforcement.Native;

/// <summary>A C vector of strings (<c>char *v[]</c>, closed by null) in native memory.</summary>
internal sealed unsafe class StringVector : IDisposable
{
    private readonly byte** pointers;
    private readonly int count;

    public StringVector(IReadOnlyCollection<string> strings)
    {
        count = strings.Count;
        pointers = (byte**)NativeMemory.AllocZeroed((nuint)(count + 1), (nuint)sizeof(byte*));
        var i = 0;
        foreach (var text in strings)
        {
            var size = Encoding.UTF8.GetByteCount(text);
            pointers[i] = (byte*)NativeMemory.Alloc((nuint)size + 1);
            Encoding.UTF8.GetBytes(text, new Span<byte>(pointers[i], size));
            pointers[i++][size] = 0;
        }
    }

    public byte** Pointers => pointers;
    public byte* First => pointers[0];

    public void Dispose()
    {
        for (var i = 0; i < count; i++) NativeMemory.Free(pointers[i]);
        NativeMemory.Free(pointers);
    }
}
