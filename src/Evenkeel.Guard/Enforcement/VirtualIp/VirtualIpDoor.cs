using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// Holds one virtual IP under one lease. Open: let the kernel pass it, add it, tell the neighbours. Close: shut it in the kernel
/// (in and out, at once), then remove it. What the kernel does if nobody calls any more: shuts within the lease's time, removes
/// the address a few seconds later.
/// </summary>
public sealed class VirtualIpDoor : IDoor
{
    // Whole seconds are all that valid_lft knows. Long enough that it is re-armed about once a second, not at each renewal.
    private const uint MinimumValidSeconds = 2;
    private static readonly TimeSpan RearmWithin = TimeSpan.FromMilliseconds(900);

    private readonly VirtualIpStack stack;
    private readonly int prefixLength;
    private readonly string linkName;
    private readonly AnnouncementSchedule announcements = new();
    private NetworkLink? link;
    private Instant addressUntil;
    private Instant leaseUntil;
    private bool assigned;

    internal VirtualIpDoor(VirtualIpStack stack, IPAddress address, int prefixLength, string linkName) =>
        (this.stack, Address, this.prefixLength, this.linkName) = (stack, address, prefixLength, linkName);

    public IPAddress Address { get; }

    /// <summary>Open and not yet past its lease's end as this door knows it.</summary>
    public bool IsOpen { get; private set; }

    /// <summary>Closed for good: the address is off the machine.</summary>
    public bool IsShut { get; private set; }

    internal NetworkLink? Link => link;

    public string? Open(Instant until)
    {
        if (IsShut) return "this door was closed: a later epoch needs a door of its own";
        if (IsOpen) return Renew(until);
        if (stack.Table is not { } table) return "no route netlink socket: virtual IPs cannot be added here";
        if (stack.Prepare() is { } unprepared) return unprepared;
        link = table.Links(out var reason).FirstOrDefault(l => l.Name == linkName);
        if (link is null) return reason ?? $"there is no interface {linkName}";
        if (!link.IsUp) return $"the interface {linkName} is down";
        if (!link.Carrier) return $"the interface {linkName} has no carrier";

        // First the kernel's lease, then the address: never a moment in which the address is here without its fence.
        reason = stack.Lease?.Manage(Address, link.Index) ?? Arm(until) ?? PutAddress(until);
        if (reason is not null)
        {
            _ = CloseOpened();
            return reason;
        }
        IsOpen = true;
        var now = VirtualIpStack.Now();
        stack.Probe(link, Address);
        announcements.Restart(now);
        Tick(now);
        return null;
    }

    public string? Renew(Instant until)
    {
        if (!IsOpen) return IsShut ? "this door was closed" : "this door is not open";
        return Arm(until) ?? (BootClock.Remaining(until, addressUntil) < RearmWithin ? PutAddress(until) : null);
    }

    public string? Close()
    {
        IsOpen = false;
        if (CloseOpened() is { } reason) return reason;
        IsShut = true;
        return null;
    }

    internal void Tick(Instant now)
    {
        if (!IsOpen || !announcements.IsDue(now)) return;
        // ARP from a packet socket does not pass the kernel's lease, so the clock is read right before, not taken from the caller.
        if (VirtualIpStack.Now().IsPastDeadline(leaseUntil)) return;
        stack.Announce(link!, Address);
    }

    internal void AnnounceAgain(Instant now)
    {
        if (IsOpen) announcements.Restart(now);
    }

    private string? Arm(Instant until)
    {
        if (stack.Lease?.Arm(Address, until) is { } reason) return reason;
        leaseUntil = until;
        if (!VirtualIpStack.Now().IsPastDeadline(until)) return null;
        // Frozen between reading the clock and arming: where that is a time-out it counts from now, so it must not stand.
        _ = stack.Lease?.Disarm(Address);
        return "the lease has run out";
    }

    private string? PutAddress(Instant until)
    {
        var now = VirtualIpStack.Now();
        var remaining = BootClock.Remaining(now, until);
        if (remaining <= TimeSpan.Zero) return "the lease has run out";
        var seconds = Math.Max(MinimumValidSeconds, (uint)Math.Ceiling(remaining.TotalSeconds) + 1);
        assigned = true;
        SeeCarrier(now);
        if (stack.Table!.Put(link!, Address, prefixLength, seconds) is { } reason)
            return $"{Address}/{prefixLength} could not be added to {linkName}: {reason}";
        addressUntil = now + TimeSpan.FromSeconds(seconds);
        return null;
    }

    // About once a second, with the address's re-arming: a cable that was out may be in another switch now, and a switch that was
    // restarted has forgotten where we are. The count tells of a loss that was over before anybody looked.
    private void SeeCarrier(Instant now)
    {
        if (stack.Table!.Links(out _).FirstOrDefault(l => l.Index == link!.Index) is not { } current) return;
        if (current.Carrier && (!link!.Carrier || current.CarrierChanges != link.CarrierChanges)) announcements.Restart(now);
        link = current;
    }

    private string? CloseOpened()
    {
        var fence = stack.Lease?.Disarm(Address);
        var removal = assigned ? stack.Table!.Remove(link!.Index, Address, prefixLength) : null;
        if (removal is null) assigned = false;
        return removal ?? fence;
    }
}
