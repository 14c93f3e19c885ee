using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Watches what of the node itself decides whether it can serve: the public interface's carrier, whether its network can be told of virtual
/// IPs, load, bound listeners, what drains. The loop's
/// own thread asks: what is looked at costs less than a timer and a thread of the pool that are woken for it.
/// </summary>
internal sealed partial class NodeCondition(
    string? publicInterface, Func<bool> reachable, Func<bool> listenersReady, Func<IReadOnlyList<Carried>> finishing, Func<IReadOnlyList<ShutDoor>> shut) : IDisposable
{
    private const int Period = 50;
    // The kernel computes it anew every 5 s.
    private const int LoadEvery = 20;
    private readonly Socket? _asking = publicInterface is null ? null : new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
    private NodeConditionChanged? _last;
    private double _load;
    private int _round;
    private long _nextAt;

    /// <summary>What changed since it was asked last; looks every 50 ms at most. Not thread-safe.</summary>
    public NodeConditionChanged? Sense()
    {
        var now = Environment.TickCount64;
        if (now < _nextAt)
        {
            return null;
        }

        _nextAt = now + Period;
        if (_round++ % LoadEvery == 0)
        {
            _load = ReadLoad();
        }

        // It changes all the time and decides nothing yet: one decimal is enough for status.
        var condition = new NodeConditionChanged(
            reachable() && PublicUp(), Math.Round(_load / Environment.ProcessorCount, 1), listenersReady(), DateTimeOffset.UtcNow.ToUnixTimeSeconds())
        {
            Finishing = finishing(),
            Shut = shut(),
        };
        if (condition.SaysTheSameAs(_last))
        {
            return null;
        }

        return _last = condition;
    }

    public void Dispose() => _asking?.Dispose();

    /// <summary>
    /// Whether the interface runs (carrier is there), asked of the kernel (netdevice(7)): files below /sys show the interfaces
    /// of the namespace in which /sys was mounted, which need not be ours.
    /// </summary>
    private bool PublicUp()
    {
        if (publicInterface is null || _asking is null)
        {
            return true;
        }

        Span<byte> request = stackalloc byte[InterfaceRequest];
        request.Clear();
        System.Text.Encoding.ASCII.GetBytes(publicInterface, request[..(NameLength - 1)]);
        return Control((int)_asking.Handle, GetFlags, ref MemoryMarshal.GetReference(request)) == 0
            && (BinaryPrimitives.ReadInt16LittleEndian(request[NameLength..]) & Running) != 0;
    }

    private const int NameLength = 16, InterfaceRequest = 40;
    private const nuint GetFlags = 0x8913; // SIOCGIFFLAGS
    private const short Running = 0x40; // IFF_RUNNING

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Control(int descriptor, nuint request, ref byte argument);

    private static double ReadLoad()
    {
        try
        {
            return double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return 0;
        }
    }
}
