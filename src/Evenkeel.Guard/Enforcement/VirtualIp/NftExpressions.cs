using System.Runtime.InteropServices;
using Evenkeel.Guard.Enforcement.Netlink;

namespace Evenkeel.Guard.Enforcement.VirtualIp;

/// <summary>A rule's expressions, evaluated from left to right through register 1; the first that does not match ends the rule.</summary>
internal sealed class NftExpressions(NetlinkWriter writer)
{
    private const uint Register = 1;
    public const uint Network = 1, Transport = 2;

    /// <summary><c>meta nfproto</c> equals NFPROTO_IPV4 (2) or NFPROTO_IPV6 (10).</summary>
    public NftExpressions ProtocolFamilyIs(byte family) => Meta(15).Equal([family]);

    /// <summary><c>meta l4proto</c> equals the IP protocol number.</summary>
    public NftExpressions TransportIs(byte protocol) => Meta(16).Equal([protocol]);

    /// <summary>Loads <paramref name="length"/> bytes at <paramref name="offset"/> of a header.</summary>
    public NftExpressions Payload(uint header, uint offset, uint length) =>
        Expression("payload", w => w.Net32(1, Register).Net32(2, header).Net32(3, offset).Net32(4, length));

    public NftExpressions Equal(byte[] value) => Expression("cmp", w =>
    {
        w.Net32(1, Register).Net32(2, 0);
        var nest = w.Open(3);
        w.Attribute(1, value).Close(nest);
    });

    public NftExpressions In(string set) => Expression("lookup", w => w.Text(1, set).Net32(2, Register));

    public NftExpressions NotIn(string set) => Expression("lookup", w => w.Text(1, set).Net32(2, Register).Net32(5, 1));

    /// <summary><c>fib daddr type local</c>: the destination is an address of this machine (RTN_LOCAL = 2, in host order).</summary>
    public NftExpressions DestinationIsLocal() =>
        Expression("fib", w => w.Net32(1, Register).Net32(2, 3).Net32(3, 2)).Equal(BitConverter.GetBytes(2));

    /// <summary>
    /// Goes on when the bpf filter, loaded as a socket filter, returns other than 0: xtables' match <c>bpf</c>, revision 1
    /// (linux/netfilter/xt_bpf.h), by its descriptor.
    /// </summary>
    public NftExpressions Match(int filter) => Expression("match", w =>
    {
        // struct xt_bpf_info_v1: mode (2: a descriptor), instructions, descriptor, a union of 512 bytes, the kernel's pointer.
        Span<byte> information = stackalloc byte[528];
        information.Clear();
        MemoryMarshal.Write(information, (ushort)2);
        MemoryMarshal.Write(information[4..], filter);
        w.Text(1, "bpf").Net32(2, 1).Attribute(3, information);
    });

    public NftExpressions Count() => Expression("counter", _ => { });

    public NftExpressions Drop() => Verdict(0);

    public NftExpressions Accept() => Verdict(1);

    private NftExpressions Verdict(uint code) => Expression("immediate", w =>
    {
        w.Net32(1, 0);
        var data = w.Open(2);
        var verdict = w.Open(2);
        w.Net32(1, code).Close(verdict).Close(data);
    });

    private NftExpressions Meta(uint key) => Expression("meta", w => w.Net32(1, Register).Net32(2, key));

    private NftExpressions Expression(string name, Action<NetlinkWriter> data)
    {
        var element = writer.Open(1);
        writer.Text(1, name);
        var nest = writer.Open(2);
        data(writer);
        writer.Close(nest).Close(element);
        return this;
    }
}
