using System.Runtime.InteropServices;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Netlink;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// A bpf filter on all ARP that leaves by a link (tc-bpf(8), direct action, at the link's clsact): since 2026 kernels let no rule on ARP
/// ask a bpf filter. Other filters on the link are left alone; this one goes before all of a lower preference.
/// </summary>
internal sealed class ArpFence(NetlinkSocket route)
{
    private const ushort NewQdisc = 36, NewFilter = 44, DeleteFilter = 45;
    private const uint Clsact = 0xFFFFFFF1, ClsactHandle = 0xFFFF0000, Egress = 0xFFFFFFF3;
    private const uint Preference = 0xEBE, Handle = 1, ArpInNetworkOrder = 0x0608;
    private readonly NetlinkWriter writer = new(1024);

    /// <summary>Puts the program there, or in the place of the one that is there.</summary>
    /// <returns>Null when all is well.</returns>
    public string? Put(int link, int program)
    {
        Begin(NewQdisc, NetlinkWriter.Create | NetlinkWriter.Exclusive, link, ClsactHandle, Clsact, 0).Text(1, "clsact").End();
        if (route.Transact(writer) is { Error: not (0 or Errno.Exists) } refused) return $"clsact: {refused.Reason}";
        Begin(NewFilter, NetlinkWriter.Create | NetlinkWriter.Replace, link, Handle, Egress, Preference << 16 | ArpInNetworkOrder).Text(1, "bpf");
        var options = writer.Open(2);
        writer.Host32(6, (uint)program).Text(7, "evenkeel").Host32(8, 1).Close(options).End();
        return route.Transact(writer).Reason is { } reason ? $"cls_bpf: {reason}" : null;
    }

    /// <summary>Takes it away, where there is one.</summary>
    public void Remove(int link)
    {
        Begin(DeleteFilter, 0, link, 0, Egress, Preference << 16 | ArpInNetworkOrder).End();
        _ = route.Transact(writer);
    }

    // struct tcmsg, linux/rtnetlink.h.
    private NetlinkWriter Begin(ushort type, ushort flags, int link, uint handle, uint parent, uint information)
    {
        Span<byte> header = stackalloc byte[20];
        header.Clear();
        MemoryMarshal.Write(header[4..], link);
        MemoryMarshal.Write(header[8..], handle);
        MemoryMarshal.Write(header[12..], parent);
        MemoryMarshal.Write(header[16..], information);
        return writer.Clear().Begin(type, (ushort)(NetlinkWriter.Request | NetlinkWriter.Ack | flags)).Raw(header);
    }
}
