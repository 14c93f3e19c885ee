using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;
using Evenkeel.Guard.Enforcement.Native;
using static Evenkeel.Guard.Enforcement.VirtualIp.NftBatch;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

// The kernel as the lease's last keeper: traffic of a managed address passes only until its lease's end. A guard that is frozen,
// starved or killed cannot put that off, so the door closes without it.
//
//   in   (inet, prerouting)  to a managed address that is on this machine, not leased      → drop
//   out  (inet, output)      from a managed address, a TCP reset                            → pass: it ends what was, serves nothing,
//                                                                                            and its client need not wait for ever
//   out  (inet, output)      from a managed address, not leased                             → drop
//   out  (inet, output)      neighbour advertisement for a managed address, not leased     → drop
//   out  (arp, output; or    ARP whose sender is a managed address, not leased              → drop
//         the link's clsact)
//
// Only packets that this machine would send or take as the owner are touched: as a client or router it reaches the address on
// another node, and ARP announcements of the new owner come in and mend its own cache; so there is no rule on ARP input.

/// <summary>
/// The nf_tables rules. "Not leased" is a filter of <see cref="LeaseClock"/>; where the kernel or the rights for that are missing,
/// it is "not in a set whose elements expire", and one transaction re-arms (delete + add, as kernels before 6.12 cannot change a
/// time-out). Not a firewall: chains accept all else, at a priority before any firewall's.
/// </summary>
internal sealed class KernelLease(NftBatch batch, ArpFence fence, LeaseClock.Maker clocks, string table = "evenkeel")
{
    private const uint HookPrerouting = 0, HookLocalIn = 1, HookOutput = 3, HookArpOutput = 1;
    private const int PriorityRaw = -300;
    private const int Loopback = 1; // In every network namespace.

    private readonly HashSet<IPAddress> armed = [];
    private readonly HashSet<IPAddress> managed = [];
    private readonly Dictionary<int, List<IPAddress>> fenced = [];
    private LeaseClock? clock;
    private bool arp, fib;

    /// <summary>What the kernel cannot do here, in words; empty is best. Set by <see cref="Install"/>.</summary>
    public IReadOnlyList<string> Missing { get; private set; } = [];

    /// <summary>True once the IP rules stand: an unleased address is silent by the kernel's own hand.</summary>
    public bool Stands { get; private set; }

    /// <summary>Makes the tables anew (whatever an earlier run left is dropped in the same transaction) and notes what is missing.</summary>
    public void Install()
    {
        fenced.Clear();
        clock?.Dispose();
        clock = clocks(out var noClock);
        if (clock is not null && TryFilter() is { } refused)
        {
            clock.Dispose();
            (clock, noClock) = (null, refused);
        }
        var missing = Build();
        if (Stands && clock is null)
            missing.Add($"leases of VIPs are time-outs of nftables ({noClock}): whoever changes the firewall at length keeps the guard from renewing them");
        Missing = missing;
    }

    /// <summary>Builds anew what another program took away (<c>nft flush ruleset</c>). Leases go on; a time-out holds again with its next renewal.</summary>
    /// <returns>Null when nothing was missing; else words for the operator.</returns>
    public string? Mend()
    {
        if (!Stands || (batch.Has(FamilyInet, table) && (!arp || batch.Has(FamilyArp, table)))) return null;
        List<IPAddress> before = [.. managed];
        _ = Build();
        List<string> reasons = Stands ? [.. before.Select(Rule).OfType<string>()] : ["nftables refuses"];
        return reasons.Count == 0 ? "another program took away the rules that end virtual IPs in time (nft flush ruleset?): they stand again"
            : $"another program took away the rules that end virtual IPs in time, and they cannot be built again: {string.Join("; ", reasons)}";
    }

    private List<string> Build()
    {
        var missing = new List<string>();
        armed.Clear();
        managed.Clear();
        fib = true;
        var reason = InstallInet();
        if (reason is not null)
        {
            fib = false;
            var second = InstallInet();
            if (second is null) missing.Add($"nftables has no fib expression ({reason}): a VIP that is translated (DNAT) is not closed by the kernel");
            reason = second;
        }
        Stands = reason is null;
        if (reason is not null)
            missing.Add($"the kernel does not close VIPs by itself (nftables: {reason}): a frozen guard's VIPs answer until valid_lft ends");
        var arpReason = Stands && clock is null ? InstallArp() : null;
        arp = Stands && clock is null && arpReason is null;
        if (arpReason is not null)
            missing.Add($"nftables has no arp family ({arpReason}): a frozen guard's machine still answers ARP until valid_lft ends");
        return missing;
    }

    /// <summary>Drops the tables: only when every address is off the machine.</summary>
    public string? Uninstall()
    {
        var inet = batch.Begin().Table(FamilyInet, table).DropTable(FamilyInet, table).Commit().Reason;
        var arpReason = arp ? batch.Begin().Table(FamilyArp, table).DropTable(FamilyArp, table).Commit().Reason : null;
        foreach (var link in fenced.Keys) fence.Remove(link);
        Stands = arp = false;
        armed.Clear();
        managed.Clear();
        fenced.Clear();
        clock?.Dispose();
        clock = null;
        return inet ?? arpReason;
    }

    /// <summary>From now on the address passes only while armed; by ARP on that link.</summary>
    public string? Manage(IPAddress address, int link)
    {
        if (!Stands) return null;
        return clock?.Add(address) ?? Fence(address, link) ?? (managed.Contains(address) ? null : Rule(address));
    }

    private string? Rule(IPAddress address)
    {
        var filter = -1;
        if (clock is not null)
        {
            filter = clock.Expired(address, out var none);
            if (filter < 0) return none;
        }
        batch.Begin();
        foreach (var (family, suffix) in Tables(address)) batch.Add(family, table, "managed" + suffix, address);
        if (filter >= 0) CloseWhen(filter, address);
        var reason = batch.Commit().Reason;
        if (filter >= 0) _ = Libc.close(filter); // The rules keep it.
        if (reason is null) managed.Add(address);
        return reason;
    }

    private string? Fence(IPAddress address, int link)
    {
        if (clock is null || address.AddressFamily != AddressFamily.InterNetwork) return null;
        var addresses = fenced.GetValueOrDefault(link, []);
        if (addresses.Contains(address)) return null;
        List<IPAddress> more = [.. addresses, address];
        if (PutFence(more, link) is { } reason) return reason;
        fenced[link] = more;
        return null;
    }

    private string? PutFence(List<IPAddress> addresses, int link)
    {
        var program = clock!.SilentArp(addresses, out var reason);
        if (program < 0) return reason;
        reason = fence.Put(link, program);
        _ = Libc.close(program); // The link keeps it.
        return reason;
    }

    /// <summary>Lets the address through until then, not longer; what an earlier call said is replaced.</summary>
    public string? Arm(IPAddress address, Instant until)
    {
        if (!Stands) return null;
        if (clock is not null)
        {
            clock.Set(address, until);
            return null;
        }
        // An element outlives its time-out by up to a tick, and the kernel rounds the time-out up to whole ticks.
        var milliseconds = (long)(BootClock.Remaining(BootClock.Now(), until) - 2 * BootClock.KernelTick).TotalMilliseconds;
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
        clock?.End(address);
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

    // In a table of its own, so that a refusal says what was refused.
    private string? TryFilter()
    {
        const string trial = "evenkeel_trial";
        _ = clock!.Add(IPAddress.Any);
        var filter = clock.Expired(IPAddress.Any, out var reason);
        if (filter < 0) return reason;
        reason = batch.Begin().Table(FamilyInet, trial).Chain(FamilyInet, trial, "out", HookOutput, PriorityRaw)
            .Rule(FamilyInet, trial, "out", e => e.Match(filter).Count()).DropTable(FamilyInet, trial).Commit().Reason;
        _ = Libc.close(filter);
        if (reason is not null) return $"nft_compat with xt_bpf: {reason}";
        reason = PutFence([IPAddress.Any], Loopback);
        fence.Remove(Loopback);
        return reason;
    }

    private string? InstallInet()
    {
        batch.Begin().Table(FamilyInet, table).DropTable(FamilyInet, table).Table(FamilyInet, table)
            .Set(FamilyInet, table, "managed4", 4, expires: false).Set(FamilyInet, table, "managed6", 16, expires: false)
            .Chain(FamilyInet, table, "in", fib ? HookPrerouting : HookLocalIn, PriorityRaw)
            .Chain(FamilyInet, table, "out", HookOutput, PriorityRaw);
        LetResetsOut(FamilyIpv4, 12, 4, "4");
        LetResetsOut(FamilyIpv6, 8, 16, "6");
        if (clock is null)
        {
            batch.Set(FamilyInet, table, "leased4", 4, expires: true).Set(FamilyInet, table, "leased6", 16, expires: true);
            Close4(e => e.In("managed4").NotIn("leased4"));
            Close6(e => e.In("managed6").NotIn("leased6"));
        }
        return batch.Commit().Reason;
    }

    private string? InstallArp()
    {
        batch.Begin().Table(FamilyArp, table).DropTable(FamilyArp, table).Table(FamilyArp, table)
            .Set(FamilyArp, table, "managed4", 4, expires: false).Chain(FamilyArp, table, "out", HookArpOutput, 0);
        if (clock is null)
        {
            batch.Set(FamilyArp, table, "leased4", 4, expires: true);
            CloseArp(e => e.In("managed4").NotIn("leased4"));
        }
        return batch.Commit().Reason;
    }

    // TCP flags RST and ACK alone (RFC 9293, 3.1): what the kernel sends for a connection that is given up.
    private void LetResetsOut(byte family, uint offset, uint length, string suffix) =>
        batch.Rule(FamilyInet, table, "out", e => e.ProtocolFamilyIs(family).Payload(NftExpressions.Network, offset, length).In("managed" + suffix)
            .TransportIs(6).Payload(NftExpressions.Transport, 13, 1).Equal([0x14]).Count().Accept());

    private void CloseWhen(int filter, IPAddress address)
    {
        NftExpressions Unleased(NftExpressions e) => e.Equal(address.GetAddressBytes()).Match(filter);
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            Close6(Unleased);
            return;
        }
        Close4(Unleased);
    }

    private void Close4(Func<NftExpressions, NftExpressions> unleased)
    {
        Close("in", FamilyIpv4, 16, 4, unleased, checkLocal: fib);
        Close("out", FamilyIpv4, 12, 4, unleased, checkLocal: false);
    }

    private void Close6(Func<NftExpressions, NftExpressions> unleased)
    {
        Close("in", FamilyIpv6, 24, 16, unleased, checkLocal: fib);
        Close("out", FamilyIpv6, 8, 16, unleased, checkLocal: false);
        batch.Rule(FamilyInet, table, "out", e => unleased(e.ProtocolFamilyIs(FamilyIpv6).TransportIs(58)
            .Payload(NftExpressions.Transport, 0, 1).Equal([136])
            .Payload(NftExpressions.Transport, 8, 16)).Count().Drop());
    }

    private void Close(string chain, byte family, uint offset, uint length, Func<NftExpressions, NftExpressions> unleased, bool checkLocal) =>
        batch.Rule(FamilyInet, table, chain, e =>
        {
            unleased(e.ProtocolFamilyIs(family).Payload(NftExpressions.Network, offset, length));
            if (checkLocal) e.DestinationIsLocal();
            e.Count().Drop();
        });

    // At 14: ARP's sender protocol address.
    private void CloseArp(Func<NftExpressions, NftExpressions> unleased) =>
        batch.Rule(FamilyArp, table, "out", e => unleased(e.Payload(NftExpressions.Network, 14, 4)).Count().Drop());

    private ReadOnlySpan<(byte Family, string Suffix)> Tables(IPAddress address) =>
        address.AddressFamily == AddressFamily.InterNetworkV6 ? Tables6 : arp ? Tables4 : Tables4[..1];

    private static readonly (byte, string)[] Tables6 = [(FamilyInet, "6")];
    private static ReadOnlySpan<(byte Family, string Suffix)> Tables4 => Tables4Array;
    private static readonly (byte, string)[] Tables4Array = [(FamilyInet, "4"), (FamilyArp, "4")];
}
