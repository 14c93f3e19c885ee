using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

// The lease has decided who owns the address, so a takeover does not wait for a probe's answer (RFC 5227 would take seconds).
// What this finds is a machine outside the cluster, or one configured by hand, that claims the same address: an operator must know.

/// <summary>
/// Ongoing conflict detection (RFC 5227 §2.4, and advertisements of RFC 4861 for IPv6): whoever else claims an address that is
/// open here is reported, and the address is defended by announcing it again, at most once per 10 s (DEFEND_INTERVAL).
/// </summary>
internal sealed class ConflictWatch(ArpSocket? arp, NeighbourSocket? neighbours)
{
    private const int FramesPerTick = 64;
    private static readonly TimeSpan DefendInterval = TimeSpan.FromSeconds(10);
    private readonly Dictionary<IPAddress, Instant> reported = [];
    private readonly byte[] buffer = new byte[1600];

    public void Read(Instant now, List<VirtualIpDoor> doors, Action<string> conflict)
    {
        int count;
        for (var i = 0; i < FramesPerTick && arp is not null && (count = arp.Receive(buffer, out _)) >= 0; i++)
            if (ArpPacket.TryRead(buffer.AsSpan(0, count), out var hardware, out var sender)) Check(now, doors, sender, hardware, conflict);
        for (var i = 0; i < FramesPerTick && neighbours is not null && (count = neighbours.Receive(buffer, out _)) >= 0; i++)
            if (NeighbourPacket.TryReadAdvertisement(buffer.AsSpan(0, count), out var target, out var hardware))
                Check(now, doors, target, hardware, conflict);
    }

    private void Check(Instant now, List<VirtualIpDoor> doors, ReadOnlySpan<byte> address, ReadOnlySpan<byte> hardware, Action<string> conflict)
    {
        Span<byte> own = stackalloc byte[16];
        foreach (var door in doors)
        {
            if (!door.IsOpen || door.Link is not { HardwareAddress.Length: 6 } link) continue;
            if (!door.Address.TryWriteBytes(own, out var size) || !own[..size].SequenceEqual(address)) continue;
            if (hardware.SequenceEqual(link.HardwareAddress)) continue;
            if (reported.TryGetValue(door.Address, out var last) && now.Since(last) < DefendInterval) continue;
            reported[door.Address] = now;
            conflict($"{door.Address} on {link.Name} is claimed by {Convert.ToHexStringLower(hardware)} too: another machine has this address configured");
            door.AnnounceAgain(now);
        }
    }
}
