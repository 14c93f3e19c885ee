using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Netlink;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// What this machine (its network namespace) offers to hold virtual IPs: addresses, the kernel's lease, announcements, conflict
/// watch. One a guard, made and used on the guard's main thread; call <see cref="Tick"/> about every 10 ms.
/// </summary>
public sealed class VirtualIpStack : IDisposable
{
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(1);
    private readonly NetlinkSocket? route, netfilter;
    private readonly ArpFence? fence;
    private readonly ArpSocket? arp;
    private readonly NeighbourSocket? neighbours;
    private readonly List<VirtualIpDoor> doors = [];
    private readonly List<string> missing = [];
    private readonly ConflictWatch conflicts;
    private readonly NamespaceLock hold = new();
    private bool holds;
    private Instant nextLook;

    private VirtualIpStack(NetlinkSocket? route, NetlinkSocket? netfilter, ArpSocket? arp, NeighbourSocket? neighbours, LeaseClock.Maker clocks)
    {
        (this.route, this.netfilter, this.arp, this.neighbours) = (route, netfilter, arp, neighbours);
        if (route is not null) Table = new AddressTable(route);
        if (route is not null) fence = new ArpFence(route);
        if (netfilter is not null && fence is not null) Lease = new KernelLease(new NftBatch(netfilter), fence, clocks);
        conflicts = new ConflictWatch(arp, neighbours);
    }

    internal AddressTable? Table { get; }
    internal KernelLease? Lease { get; }

    /// <summary>What is not permitted or not there, in words for <c>status</c>; empty is best.</summary>
    public IReadOnlyList<string> Missing => missing;

    /// <summary>Addresses that an earlier guard had left and <see cref="Open"/> removed.</summary>
    public IReadOnlyList<string> Swept { get; private set; } = [];

    /// <summary>
    /// Opens the sockets in the calling thread's network namespace, removes what an earlier guard left (addresses first, then its
    /// rules), and tries what the kernel can do; rules stay only once the first address comes. Where another guard holds addresses
    /// nothing is touched. Without privileges nothing is changed; <see cref="Missing"/> says all that.
    /// </summary>
    public static VirtualIpStack Open() => OpenWith(LeaseClock.TryMake);

    internal static VirtualIpStack OpenWith(LeaseClock.Maker clocks)
    {
        var route = NetlinkSocket.TryOpen(NetlinkSocket.Route, out var noRoute);
        var netfilter = NetlinkSocket.TryOpen(NetlinkSocket.Netfilter, out var noNetfilter);
        var arp = ArpSocket.TryOpen(out var noArp);
        var neighbours = NeighbourSocket.TryOpen(out var noNeighbours);
        var stack = new VirtualIpStack(route, netfilter, arp, neighbours, clocks);
        if (noRoute is not null) stack.missing.Add($"no virtual IPs: route netlink: {noRoute}");
        if (noNetfilter is not null) stack.missing.Add($"the kernel does not close VIPs by itself: netfilter netlink: {noNetfilter}");
        if (noArp is not null) stack.missing.Add($"no gratuitous ARP: packet socket: {noArp}");
        if (noNeighbours is not null) stack.missing.Add($"no IPv6 announcements: raw ICMPv6 socket: {noNeighbours}");
        using var trial = new NamespaceLock();
        if (!trial.TryTake())
        {
            stack.missing.Add("no virtual IPs: another guard holds some in this network namespace");
            return stack;
        }
        stack.Sweep();
        if (stack.Lease is { } lease)
        {
            lease.Install();
            stack.missing.AddRange(lease.Missing);
            if (lease.Stands) lease.Uninstall();
        }
        return stack;
    }

    /// <summary>Before the first address: the namespace is this guard's, and the rules stand.</summary>
    internal string? Prepare()
    {
        if (holds) return null;
        holds = hold.TryTake();
        if (!holds) return "another guard holds virtual IPs in this network namespace";
        Sweep();
        Lease?.Install();
        return null;
    }

    private void Sweep()
    {
        if (Table is null) return;
        var swept = Table.Sweep(out var reason);
        foreach (var link in Table.Links(out _)) fence!.Remove(link.Index);
        Swept = [.. Swept, .. swept.Select(a => $"{a.Address}/{a.PrefixLength}")];
        if (reason is not null) missing.Add($"an earlier guard's addresses may be left: {reason}");
    }

    /// <summary>A door for one lease of one virtual IP; a later epoch gets a new one.</summary>
    /// <exception cref="ArgumentException">The enforcement's address is none (the agent's configuration check lets none such through).</exception>
    public VirtualIpDoor Door(VipEnforcement vip)
    {
        if (!IPAddress.TryParse(vip.Address, out var address)) throw new ArgumentException($"'{vip.Address}' is no IP address", nameof(vip));
        doors.RemoveAll(d => d.IsShut);
        var door = new VirtualIpDoor(this, address, vip.PrefixLength, vip.Interface);
        doors.Add(door);
        return door;
    }

    /// <summary>
    /// Sends due announcements, looks for machines that claim an address that is leased here, and once a second whether the rules
    /// still stand: who loads a firewall anew takes them away too.
    /// </summary>
    /// <param name="warn">Called with words for the operator; of a claimed address at most once in 10 s.</param>
    public void Tick(Instant now, Action<string> warn)
    {
        foreach (var door in doors) door.Tick(now);
        conflicts.Read(now, doors, warn);
        if (!holds || !now.HasWaitedUntil(nextLook)) return;
        nextLook = now + LookEvery;
        if (Lease?.Mend() is { } mended) warn(mended);
    }

    /// <summary>Repeats the announcements of every open door: after a heal (a peer or the carrier came back) caches may be stale.</summary>
    public void AnnounceAgain(Instant now)
    {
        foreach (var door in doors) door.AnnounceAgain(now);
    }

    internal void Announce(NetworkLink link, IPAddress address)
    {
        if (link.HardwareAddress.Length != 6) return; // lo, tunnels: no neighbours to tell.
        if (address.AddressFamily == AddressFamily.InterNetworkV6) neighbours?.Announce(link, address);
        else arp?.Announce(link, address);
    }

    internal void Probe(NetworkLink link, IPAddress address)
    {
        if (link.HardwareAddress.Length != 6) return;
        if (address.AddressFamily == AddressFamily.InterNetworkV6) neighbours?.Probe(link, address);
        else arp?.Probe(link, address);
    }

    internal static Instant Now() => BootClock.Now();

    /// <summary>Closes what is open, takes the rules out when no address is left, closes the sockets.</summary>
    public void Dispose()
    {
        var left = doors.Count(d => d.Close() is not null);
        if (left == 0 && holds) Lease?.Uninstall();
        hold.Dispose();
        route?.Dispose();
        netfilter?.Dispose();
        arp?.Dispose();
        neighbours?.Dispose();
    }
}
