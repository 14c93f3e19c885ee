using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Local;

/// <summary>An ARP packet in which somebody claims the observed address.</summary>
/// <param name="BootMilliseconds">CLOCK_BOOTTIME of its arrival.</param>
/// <param name="Claimant">The hardware address that claims it, as <c>aa:bb:cc:dd:ee:ff</c>.</param>
/// <param name="Gratuitous">An announcement rather than an answer to us.</param>
public sealed record ArpClaim(double BootMilliseconds, string Claimant, bool Gratuitous);

/// <summary>
/// Asks, again and again, who has an IPv4 address, and records everybody who claims it (RFC 826, RFC 5227): two claimants at
/// once are two owners of a virtual IP, as the network sees it. Stands in the clients' network; needs CAP_NET_RAW.
/// </summary>
public sealed partial class ArpObserver : IDisposable
{
    private const int PacketFamily = 17, Datagram = 2, EtherTypeArp = 0x0806;
    private const int Request = 1;
    private const int PacketLength = 28;

    private readonly ConcurrentQueue<ArpClaim> _claims = new();
    private readonly int _socket;
    private readonly byte[] _broadcast;
    private readonly byte[] _question;
    private readonly byte[] _address;

    /// <param name="probes">Asks with the sender address 0.0.0.0, from which nobody learns anything (RFC 5227 §2.1.1).</param>
    /// <exception cref="InvalidOperationException">Packets cannot be sent there: no such interface, or not permitted.</exception>
    public ArpObserver(IPAddress address, string interfaceName, bool probes = false)
    {
        var nic = NetworkInterface.GetAllNetworkInterfaces().Single(nic => nic.Name == interfaceName);
        var own = probes ? new byte[4] : nic.GetIPProperties().UnicastAddresses
            .First(unicast => unicast.Address.AddressFamily == AddressFamily.InterNetwork).Address.GetAddressBytes();
        var hardware = nic.GetPhysicalAddress().GetAddressBytes();
        var index = nic.GetIPProperties().GetIPv4Properties().Index;
        _address = address.GetAddressBytes();
        _broadcast = LinkAddress(index);
        _question = Question(hardware, own, _address);
        _socket = OpenSocket(PacketFamily, Datagram, BinaryPrimitives.ReverseEndianness((ushort)EtherTypeArp));
        if (_socket < 0 || Bind(_socket, _broadcast, _broadcast.Length) != 0)
        {
            throw new InvalidOperationException($"no packet socket on {interfaceName} (errno {Marshal.GetLastPInvokeError()}); it needs root");
        }
    }

    public IReadOnlyList<ArpClaim> Take()
    {
        var taken = new List<ArpClaim>();
        while (_claims.TryDequeue(out var claim))
        {
            taken.Add(claim);
        }

        return taken;
    }

    /// <summary>Asks every <paramref name="period"/> and listens until cancelled. Blocks; run it on a thread of its own.</summary>
    public void Run(TimeSpan period, CancellationToken cancellation)
    {
        var buffer = new byte[256];
        var next = Host.SystemClock.Now;
        while (!cancellation.IsCancellationRequested)
        {
            var now = Host.SystemClock.Now;
            if (now.HasWaitedUntil(next))
            {
                _ = SendTo(_socket, _question, PacketLength, 0, _broadcast, _broadcast.Length);
                next = now + period;
            }

            var poll = new PollDescriptor { Descriptor = _socket, Events = 1 };
            if (Poll(ref poll, 1, Math.Max(1, (int)next.Since(now).TotalMilliseconds)) > 0)
            {
                var length = Receive(_socket, buffer, buffer.Length, 0);
                if (length >= PacketLength)
                {
                    Judge(buffer.AsSpan(0, PacketLength));
                }
            }
        }
    }

    public void Dispose() => _ = Close(_socket);

    private void Judge(ReadOnlySpan<byte> packet)
    {
        var sender = packet.Slice(14, 4);
        if (!sender.SequenceEqual(_address))
        {
            return; // somebody's question, or another address
        }

        var gratuitous = packet.Slice(24, 4).SequenceEqual(sender);
        _claims.Enqueue(new ArpClaim(
            Host.SystemClock.Now.BootNanoseconds / 1e6,
            string.Join(':', packet.Slice(8, 6).ToArray().Select(part => part.ToString("x2", System.Globalization.CultureInfo.InvariantCulture))),
            gratuitous));
    }

    private static byte[] Question(byte[] hardware, byte[] own, byte[] target)
    {
        var packet = new byte[PacketLength];
        BinaryPrimitives.WriteUInt16BigEndian(packet, 1); // Ethernet
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), 0x0800); // IPv4
        packet[4] = 6;
        packet[5] = 4;
        BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), Request);
        hardware.CopyTo(packet, 8);
        own.CopyTo(packet, 14);
        target.CopyTo(packet, 24);
        return packet;
    }

    /// <summary>struct sockaddr_ll (packet(7)) with the broadcast hardware address.</summary>
    private static byte[] LinkAddress(int index)
    {
        var address = new byte[20];
        BinaryPrimitives.WriteUInt16LittleEndian(address, PacketFamily);
        BinaryPrimitives.WriteUInt16BigEndian(address.AsSpan(2), EtherTypeArp);
        BinaryPrimitives.WriteInt32LittleEndian(address.AsSpan(4), index);
        address[11] = 6;
        address.AsSpan(12, 6).Fill(0xff);
        return address;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct PollDescriptor
    {
        public int Descriptor;
        public short Events;
        public short Returned;
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int OpenSocket(int family, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int Bind(int socket, byte[] address, int length);

    [LibraryImport("libc", EntryPoint = "sendto", SetLastError = true)]
    private static partial nint SendTo(int socket, byte[] buffer, nint length, int flags, byte[] address, int addressLength);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint Receive(int socket, byte[] buffer, nint length, int flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int Poll(ref PollDescriptor descriptors, nuint count, int milliseconds);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int descriptor);
}
