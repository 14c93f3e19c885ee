using System.Net;
using System.Net.Sockets;
using Evenkeel.Guard.Enforcement.Native;
using static Evenkeel.Guard.Enforcement.VirtualIp.NftBatch;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

// The kernel as the lease's last keeper: traffic of a managed address passes only while the address is in a set whose elements
// expire. A guard that is frozen, starved or killed cannot re-arm it, so the door closes without it.
//
//   in   (inet, prerouting)  to a managed address that is on this machine, not leased      → drop
//   out  (inet, output)      from a managed address, a TCP reset                            → pass: it ends what was, serves nothing,
//                                                                                            and its client need not wait for ever
//   out  (inet, output)      from a managed address, not leased                             → drop
//   out  (inet, output)      neighbour advertisement for a managed address, not leased     → drop
//   out  (arp, output)       ARP whose sender is a managed address, not leased              → drop
//
// Only packets that this machine would send or take as the owner are touched: as a client or router it reaches the address on
// another node, and ARP announcements of the new owner come in and mend its own cache; so there is no rule on ARP input.

/// <summary>
/// The nf_tables rules and sets. One transaction re-arms (delete + add, as kernels before 6.12 cannot change a time-out), without
/// a moment in which the address is out. Not a firewall: chains accept all else, at a priority before any firewall's.
/// </summary>
internal sealed class KernelLease(NftBatch batch, string table = "evenkeel")
{
    private const uint HookPrerouting = 0, HookLocalIn = 1, HookOutput = 3, HookArpOutput = 1;
    private const int PriorityRaw = -300;

    private readonly HashSet<IPAddress> armed = [];
    private readonly HashSet<IPAddress> managed = [];
    private bool arp;

    /// <summary>What the kernel cannot do here, in words; empty is best. Set by <see cref="Install"/>.</summary>
    public IReadOnlyList<string> Missing { get; private set; } = [];

    /// <summary>True once the IP rules stand: an unleased address is silent by the kernel's own hand.</summary>
    public bool Stands { get; private set; }

    /// <summary>Makes the tables anew (whatever an earlier run left is dropped in the same transaction) and notes what is missing.</summary>
    public void Install()
    {
        var missing = new List<string>();
        armed.Clear();
        managed.Clear();
        var reason = InstallInet(checkLocal: true).Reason;
        if (reason is not null)
        {
            var second = InstallInet(checkLocal: false).Reason;
            if (second is null) missing.Add($"nftables has no fib expression ({reason}): a VIP that is translated (DNAT) is not closed by the kernel");
            reason = second;
        }
        Stands = reason is null;
        if (reason is not null)
            missing.Add($"the kernel does not close VIPs by itself (nftables: {reason}): a frozen guard's VIPs answer until valid_lft ends");
        var arpReason = Stands ? InstallArp().Reason : null;
        arp = Stands && arpReason is null;
        if (arpReason is not null)
            missing.Add($"nftables has no arp family ({arpReason}): a frozen guard's machine still answers ARP until valid_lft ends");
        Missing = missing;
    }

    /// <summary>Drops the tables: only when every address is off the machine.</summary>
    public string? Uninstall()
    {
        var inet = batch.Begin().Table(FamilyInet, table).DropTable(FamilyInet, table).Commit().Reason;
        var arpReason = arp ? batch.Begin().Table(FamilyArp, table).DropTable(FamilyArp, table).Commit().Reason : null;
        Stands = arp = false;
        armed.Clear();
        managed.Clear();
        return inet ?? arpReason;
    }

    /// <summary>From now on the address passes only while armed.</summary>
    public string? Manage(IPAddress address)
    {
        if (!Stands || managed.Contains(address)) return null;
        batch.Begin();
        foreach (var (family, suffix) in Tables(address)) batch.Add(family, table, "managed" + suffix, address);
        var reason = batch.Commit().Reason;
        if (reason is null) managed.Add(address);
        return reason;
    }

    /// <summary>Lets the address through for <paramref name="time"/> from now, not longer; what was left of an earlier time is replaced.</summary>
    public string? Arm(IPAddress address, TimeSpan time)
    {
        if (!Stands) return null;
        // An element outlives its time-out by up to a tick, and the kernel rounds the time-out up to whole ticks.
        var milliseconds = (long)(time - 2 * BootClock.KernelTick).TotalMilliseconds;
        if (milliseconds <= 0) return "the lease has run out";
        if (!armed.Add(address)) return Rearm(address, (ulong)milliseconds);
        batch.Begin();
        foreach (var (family, suffix) in Tables(address)) batch.Add(family, table, "leased" + suffix, address, (ulong)milliseconds);
        var reason = batch.Commit().Reason;
        if (reason is not null) armed.Remove(address);
        return reason;
    }

    /// <summary>Shuts the address out at once; done already counts as done.</summary>
    public string? Disarm(IPAddress address)
    {
        if (!Stands || !armed.Contains(address)) return null;
        string? reason = null;
        foreach (var (family, suffix) in Tables(address))
        {
            var answer = batch.Begin().Delete(family, table, "leased" + suffix, address).Commit();
            if (answer.Error is not (0 or Errno.NotFound)) reason ??= answer.Reason;
        }
        if (reason is null) armed.Remove(address);
        return reason;
    }

    private string? Rearm(IPAddress address, ulong milliseconds)
    {
        batch.Begin();
        foreach (var (family, suffix) in Tables(address))
            batch.Delete(family, table, "leased" + suffix, address).Add(family, table, "leased" + suffix, address, milliseconds);
        var answer = batch.Commit();
        if (answer.Error != Errno.NotFound) return answer.Reason;
        // It expired a moment ago, in one of the tables or both: nothing to delete there.
        if (Disarm(address) is { } reason) return reason;
        batch.Begin();
        foreach (var (family, suffix) in Tables(address)) batch.Add(family, table, "leased" + suffix, address, milliseconds);
        reason = batch.Commit().Reason;
        if (reason is null) armed.Add(address);
        return reason;
    }

    private ReadOnlySpan<(byte Family, string Suffix)> Tables(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6 ? Tables6 : arp ? Tables4 : Tables4[..1];

    private static readonly (byte, string)[] Tables6 = [(FamilyInet, "6")];
    private static ReadOnlySpan<(byte Family, string Suffix)> Tables4 => Tables4Array;
    private static readonly (byte, string)[] Tables4Array = [(FamilyInet, "4"), (FamilyArp, "4")];

    private Netlink.NetlinkAnswer InstallInet(bool checkLocal)
    {
        batch.Begin().Table(FamilyInet, table).DropTable(FamilyInet, table).Table(FamilyInet, table)
            .Set(FamilyInet, table, "managed4", 4, expires: false).Set(FamilyInet, table, "leased4", 4, expires: true)
            .Set(FamilyInet, table, "managed6", 16, expires: false).Set(FamilyInet, table, "leased6", 16, expires: true)
            .Chain(FamilyInet, table, "in", checkLocal ? HookPrerouting : HookLocalIn, PriorityRaw)
            .Chain(FamilyInet, table, "out", HookOutput, PriorityRaw);
        Fence("in", FamilyIpv4, 16, 4, "4", checkLocal);
        Fence("in", FamilyIpv6, 24, 16, "6", checkLocal);
        LetResetsOut(FamilyIpv4, 12, 4, "4");
        LetResetsOut(FamilyIpv6, 8, 16, "6");
        Fence("out", FamilyIpv4, 12, 4, "4", checkLocal: false);
        Fence("out", FamilyIpv6, 8, 16, "6", checkLocal: false);
        batch.Rule(FamilyInet, table, "out", e => e.ProtocolFamilyIs(FamilyIpv6).TransportIs(58)
            .Payload(NftExpressions.Transport, 0, 1).Equal([136])
            .Payload(NftExpressions.Transport, 8, 16).In("managed6").NotIn("leased6").Count().Drop());
        return batch.Commit();
    }

    // TCP flags RST and ACK alone (RFC 9293, 3.1): what the kernel sends for a connection that is given up.
    private void LetResetsOut(byte family, uint offset, uint length, string suffix) =>
        batch.Rule(FamilyInet, table, "out", e => e.ProtocolFamilyIs(family).Payload(NftExpressions.Network, offset, length).In("managed" + suffix)
            .TransportIs(6).Payload(NftExpressions.Transport, 13, 1).Equal([0x14]).Count().Accept());

    private void Fence(string chain, byte family, uint offset, uint length, string suffix, bool checkLocal) =>
        batch.Rule(FamilyInet, table, chain, e =>
        {
            e.ProtocolFamilyIs(family).Payload(NftExpressions.Network, offset, length).In("managed" + suffix).NotIn("leased" + suffix);
            if (checkLocal) e.DestinationIsLocal();
            e.Count().Drop();
        });

    private Netlink.NetlinkAnswer InstallArp() =>
        batch.Begin().Table(FamilyArp, table).DropTable(FamilyArp, table).Table(FamilyArp, table)
            .Set(FamilyArp, table, "managed4", 4, expires: false).Set(FamilyArp, table, "leased4", 4, expires: true)
            .Chain(FamilyArp, table, "out", HookArpOutput, 0)
            .Rule(FamilyArp, table, "out", e => e.Payload(NftExpressions.Network, 14, 4) // ARP's sender protocol address.
                .In("managed4").NotIn("leased4").Count().Drop())
            .Commit();
}
