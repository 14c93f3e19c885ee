using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>One descriptor (epoll) that is readable while any of those added is; a closed one leaves by itself.</summary>
internal sealed unsafe class WakeSet : IDisposable
{
    private const int CloseOnExec = 0x80000, AddOperation = 1;

    public int Descriptor { get; private set; } = Libc.epoll_create1(CloseOnExec);

    public void Add(int descriptor)
    {
        // struct epoll_event, packed on x86-64 (12 bytes), else 16; only the leading event mask matters here.
        var wanted = stackalloc uint[4];
        (wanted[0], wanted[1], wanted[2], wanted[3]) = (1, 0, 0, 0);
        if (descriptor >= 0) _ = Libc.epoll_ctl(Descriptor, AddOperation, descriptor, wanted);
    }

    public void Dispose()
    {
        if (Descriptor >= 0) _ = Libc.close(Descriptor);
        Descriptor = -1;
    }
}
