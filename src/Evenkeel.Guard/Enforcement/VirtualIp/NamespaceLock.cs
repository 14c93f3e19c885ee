using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// Who holds virtual IPs in a network namespace: an abstract socket name, which belongs to the namespace and falls with its
/// process. So a trial cluster on a production machine cannot sweep the addresses of the guard that lives there.
/// </summary>
internal sealed unsafe class NamespaceLock : IDisposable
{
    private const int AfUnix = 1;
    private int descriptor = Libc.socket(AfUnix, Libc.SockDatagram | Libc.SockCloseOnExec, 0); // In the calling thread's namespace, for good.

    /// <summary>True when this instance has it now; false when another has.</summary>
    public bool TryTake()
    {
        ReadOnlySpan<byte> name = [AfUnix, 0, 0, .. "evenkeel-virtual-ips"u8]; // sa_family (little-endian), then the name behind a zero.
        fixed (byte* address = name)
            return Libc.bind(descriptor, address, name.Length) == 0;
    }

    public void Dispose()
    {
        if (descriptor >= 0) _ = Libc.close(descriptor);
        descriptor = -1;
    }
}
