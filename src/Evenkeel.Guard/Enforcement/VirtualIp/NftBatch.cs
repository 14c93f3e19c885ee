using System.Buffers.Binary;
using System.Net;
using Evenkeel.Guard.Enforcement.Native;
using Evenkeel.Guard.Enforcement.Netlink;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>
/// One nf_tables transaction (linux/netfilter/nf_tables.h): begin, messages, end; the kernel applies all or nothing. Numbers are
/// in network order. Names of the members are those of <c>nft</c>'s own language.
/// </summary>
internal sealed class NftBatch(NetlinkSocket? socket)
{
    private const int Subsystem = 10 << 8;
    private const ushort BatchBegin = 16, BatchEnd = 17;
    private const byte NewTable = 0, GetTable = 1, DeleteTable = 2, NewChain = 3, NewRule = 6, NewSet = 9, NewElement = 12, DeleteElement = 14;
    public const byte FamilyInet = 1, FamilyIpv4 = 2, FamilyArp = 3, FamilyIpv6 = 10;

    private readonly NetlinkWriter writer = new(32768);
    private uint setNumber;

    public NetlinkWriter Writer => writer;

    public NftBatch Begin()
    {
        writer.Clear();
        Header(BatchBegin, 0, 0, Subsystem >> 8);
        writer.End();
        return this;
    }

    public NetlinkAnswer Commit()
    {
        Header(BatchEnd, 0, 0, Subsystem >> 8);
        writer.End();
        return socket?.Transact(writer) ?? default;
    }

    /// <summary>Whether the table stands. A question alone: it waits for nobody who is changing rules.</summary>
    public bool Has(byte family, string name)
    {
        writer.Clear();
        Message(GetTable, 0, family);
        writer.Text(1, name).End();
        return socket?.Transact(writer).Error != Errno.NotFound;
    }

    public NftBatch Table(byte family, string name)
    {
        Message(NewTable, NetlinkWriter.Create, family);
        writer.Text(1, name).End();
        return this;
    }

    public NftBatch DropTable(byte family, string name)
    {
        Message(DeleteTable, 0, family);
        writer.Text(1, name).End();
        return this;
    }

    /// <summary>A base chain of type filter that accepts what no rule drops.</summary>
    public NftBatch Chain(byte family, string table, string name, uint hook, int priority)
    {
        Message(NewChain, NetlinkWriter.Create, family);
        writer.Text(1, table).Text(3, name);
        var nest = writer.Open(4);
        writer.Net32(1, hook).Net32(2, unchecked((uint)priority)).Close(nest);
        writer.Net32(5, 1).Text(7, "filter").End();
        return this;
    }

    /// <param name="addressBytes">4 or 16.</param>
    /// <param name="expires">Elements carry a time-out, kept by the kernel.</param>
    public NftBatch Set(byte family, string table, string name, int addressBytes, bool expires)
    {
        const uint timeout = 0x10, ipv4Type = 7, ipv6Type = 8; // NFT_SET_TIMEOUT; nft's own numbers, so that `nft list` prints addresses.
        Message(NewSet, NetlinkWriter.Create, family);
        writer.Text(1, table).Text(2, name).Net32(3, expires ? timeout : 0)
            .Net32(4, addressBytes == 4 ? ipv4Type : ipv6Type).Net32(5, (uint)addressBytes).Net32(10, ++setNumber).End();
        return this;
    }

    public NftBatch Rule(byte family, string table, string chain, Action<NftExpressions> expressions)
    {
        Message(NewRule, NetlinkWriter.Create | NetlinkWriter.Append, family);
        writer.Text(1, table).Text(2, chain);
        var nest = writer.Open(4);
        expressions(new NftExpressions(writer));
        writer.Close(nest).End();
        return this;
    }

    /// <param name="milliseconds">The element's time-out; 0 for none.</param>
    public NftBatch Add(byte family, string table, string set, IPAddress address, ulong milliseconds = 0) =>
        Element(NewElement, NetlinkWriter.Create, family, table, set, address, milliseconds);

    /// <summary>Takes the element out; the transaction fails with ENOENT when it is not (or no longer) in.</summary>
    public NftBatch Delete(byte family, string table, string set, IPAddress address) =>
        Element(DeleteElement, 0, family, table, set, address, 0);

    private NftBatch Element(byte message, ushort flags, byte family, string table, string set, IPAddress address, ulong milliseconds)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out var size);
        Message(message, flags, family);
        writer.Text(1, table).Text(2, set);
        var list = writer.Open(3);
        var element = writer.Open(1);
        var key = writer.Open(1);
        writer.Attribute(1, bytes[..size]).Close(key);
        if (milliseconds > 0) writer.Net64(4, milliseconds);
        writer.Close(element).Close(list).End();
        return this;
    }

    private void Message(byte message, ushort flags, byte family) =>
        Header((ushort)(Subsystem | message), (ushort)(flags | NetlinkWriter.Ack), family, 0);

    private void Header(ushort type, ushort flags, byte family, ushort resource)
    {
        // nfgenmsg: family, version 0, resource in network order.
        Span<byte> header = stackalloc byte[4];
        header[0] = family;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], resource);
        writer.Begin(type, (ushort)(NetlinkWriter.Request | flags)).Raw(header);
    }
}
