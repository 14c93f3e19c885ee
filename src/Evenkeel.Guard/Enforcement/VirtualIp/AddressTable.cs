using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Netlink;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// An interface as the kernel lists it. <see cref="Carrier"/>: up, and its link is there (IFF_RUNNING), which is slow to say that it is not.
/// <see cref="CarrierChanges"/>: how often the link has come and gone, however briefly.
/// </summary>
internal sealed record NetworkLink(int Index, string Name, byte[] HardwareAddress, bool IsUp, bool Carrier, uint CarrierChanges);

/// <summary>An address on an interface; <see cref="IsOurs"/> when a guard (this one or an earlier) put it there.</summary>
internal sealed record AssignedAddress(int Link, IPAddress Address, int PrefixLength, bool IsOurs, uint ValidSeconds);

/// <summary>
/// Reads and changes interface addresses over route netlink (RFC 3549, linux/rtnetlink.h). What a guard adds is marked, by
/// address protocol (Linux 5.18) and for IPv4 by a label as well, so that the next run of a guard finds what a killed one left;
/// IPv6 on older kernels carries no mark, there <c>valid_lft</c> alone removes it.
/// </summary>
internal sealed class AddressTable(NetlinkSocket socket)
{
    /// <summary>IFA_PROTO of our addresses: any value that the kernel and routing daemons do not use.</summary>
    public const byte Protocol = 0xEB;
    private const string LabelSuffix = ":ekeel";

    private const ushort GetLink = 18, NewLink = 16, NewAddress = 20, DeleteAddress = 21, GetAddress = 22;
    private const ushort AttributeAddress = 1, AttributeLocal = 2, AttributeLabel = 3, AttributeCacheInfo = 6, AttributeFlags = 8,
        AttributeProtocol = 11, AttributeCarrierChanges = 35;
    private const uint FlagNoDuplicateCheck = 2;

    private readonly NetlinkWriter writer = new(4096);

    public IReadOnlyList<NetworkLink> Links(out string? reason)
    {
        var links = new List<NetworkLink>();
        writer.Clear().Begin(GetLink, NetlinkWriter.Request | NetlinkWriter.Dump).Raw(stackalloc byte[16]).End();
        reason = socket.Dump(writer, (type, body) =>
        {
            if (type != NewLink || body.Length < 16) return;
            var index = MemoryMarshal.Read<int>(body[4..]);
            var flags = MemoryMarshal.Read<uint>(body[8..]);
            var (name, hardware, changes) = ("", Array.Empty<byte>(), 0u);
            var attributes = new NetlinkReader(body[16..]);
            while (attributes.NextAttribute(out var attribute, out var value))
            {
                if (attribute == 1) hardware = value.ToArray();
                else if (attribute == 3) name = NetlinkReader.Text(value);
                else if (attribute == AttributeCarrierChanges) changes = MemoryMarshal.Read<uint>(value);
            }
            links.Add(new NetworkLink(index, name, hardware, (flags & 1) != 0, (flags & 0x40) != 0, changes));
        }).Reason;
        return links;
    }

    public IReadOnlyList<AssignedAddress> Addresses(out string? reason)
    {
        var addresses = new List<AssignedAddress>();
        writer.Clear().Begin(GetAddress, NetlinkWriter.Request | NetlinkWriter.Dump).Raw(stackalloc byte[8]).End();
        reason = socket.Dump(writer, (type, body) =>
        {
            if (type == NewAddress && body.Length >= 8 && Read(body) is { } address) addresses.Add(address);
        }).Reason;
        return addresses;
    }

    /// <summary>
    /// Adds the address, or re-arms it: the kernel removes it by itself after <paramref name="validSeconds"/>. IPv6 skips the
    /// kernel's own duplicate address detection (a second of silence); <see cref="ConflictWatch"/> looks instead.
    /// </summary>
    public string? Put(NetworkLink link, IPAddress address, int prefixLength, uint validSeconds)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var size);
        WriteHeader(NewAddress, NetlinkWriter.Create | NetlinkWriter.Replace, link.Index, address, prefixLength);
        writer.Attribute(AttributeLocal, bytes[..size]).Attribute(AttributeAddress, bytes[..size]);
        Span<uint> lifetime = [validSeconds, validSeconds, 0, 0]; // ifa_cacheinfo: preferred, valid, two stamps.
        writer.Attribute(AttributeCacheInfo, MemoryMarshal.AsBytes(lifetime));
        if (size == 16) writer.Host32(AttributeFlags, FlagNoDuplicateCheck);
        else if (link.Name.Length + LabelSuffix.Length <= 15) writer.Text(AttributeLabel, link.Name + LabelSuffix);
        writer.Byte(AttributeProtocol, Protocol).End();
        return socket.Transact(writer).Reason;
    }

    /// <summary>Removes the address; one that is not there counts as removed.</summary>
    public string? Remove(int link, IPAddress address, int prefixLength)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var size);
        WriteHeader(DeleteAddress, 0, link, address, prefixLength);
        writer.Attribute(AttributeLocal, bytes[..size]).End();
        var answer = socket.Transact(writer);
        return answer.Error is Errno.AddressNotAvailable or Errno.NoSuchDevice ? null : answer.Reason;
    }

    /// <summary>Removes every address that a guard put there: the sweep at a guard's start (safety rule 6).</summary>
    /// <returns>What was found and removed; the reason when something may be left.</returns>
    public IReadOnlyList<AssignedAddress> Sweep(out string? reason)
    {
        var removed = new List<AssignedAddress>();
        foreach (var address in Addresses(out reason).Where(a => a.IsOurs))
        {
            var failure = Remove(address.Link, address.Address, address.PrefixLength);
            if (failure is null) removed.Add(address);
            reason ??= failure is null ? null : $"{address.Address}: {failure}";
        }
        return removed;
    }

    private void WriteHeader(ushort type, int flags, int link, IPAddress address, int prefixLength)
    {
        // ifaddrmsg: family, prefix length, flags, scope, interface index.
        Span<byte> header = stackalloc byte[8];
        header[0] = (byte)(address.AddressFamily == AddressFamily.InterNetworkV6 ? Libc.AfInet6 : Libc.AfInet);
        header[1] = (byte)prefixLength;
        header[2] = (byte)(header[0] == Libc.AfInet6 ? FlagNoDuplicateCheck : 0);
        header[3] = 0;
        MemoryMarshal.Write(header[4..], link);
        writer.Clear().Begin(type, (ushort)(NetlinkWriter.Request | NetlinkWriter.Ack | flags)).Raw(header);
    }

    private static AssignedAddress? Read(ReadOnlySpan<byte> body)
    {
        var (ours, valid) = (false, uint.MaxValue);
        IPAddress? address = null, local = null;
        var attributes = new NetlinkReader(body[8..]);
        while (attributes.NextAttribute(out var type, out var value))
        {
            if (type == AttributeAddress) address = new IPAddress(value);
            else if (type == AttributeLocal) local = new IPAddress(value);
            else if (type == AttributeLabel) ours |= NetlinkReader.Text(value).EndsWith(LabelSuffix, StringComparison.Ordinal);
            else if (type == AttributeProtocol) ours |= value[0] == Protocol;
            else if (type == AttributeCacheInfo) valid = MemoryMarshal.Read<uint>(value[4..]);
        }
        return (local ?? address) is { } found
            ? new AssignedAddress(MemoryMarshal.Read<int>(body[4..]), found, body[1], ours, valid) : null;
    }
}
