using System.Net;
using System.Text.Json;
using Evenkeel.Agent.Local;

namespace Evenkeel.Agent.Preflight;

/// <summary>A network interface, as <c>ip address</c> tells of it.</summary>
/// <param name="Kind">Of a virtual one: <c>vlan</c>, <c>bridge</c>, <c>veth</c>…; empty for hardware.</param>
/// <param name="Below">The interface whose traffic it carries (a VLAN's, a macvlan's); null where it stands for itself.</param>
/// <param name="Master">The bridge or bond that it is a port of; null where of none.</param>
internal sealed record Link(string Name, string Kind, string? Below, string? Master, bool Up, int Mtu, string Hardware, IReadOnlyList<IPNetwork> Networks, IReadOnlyList<IPAddress> Addresses);

/// <summary>The interfaces of this network namespace. Asked of netlink by iproute2: files below /sys may be another namespace's.</summary>
internal sealed class LinkTable(IReadOnlyList<Link> links)
{
    public static LinkTable Empty { get; } = new([]);

    public Link? With(IPAddress address) => links.FirstOrDefault(link => link.Addresses.Contains(address));

    /// <summary>What it all stands on: a VLAN's parent's parent…; itself for one that carries its own.</summary>
    public Link Root(Link link)
    {
        // A loop cannot be, but a table that was read while it changed might say so.
        for (var step = 0; step < 8 && links.FirstOrDefault(one => one.Name == (link.Below ?? link.Master)) is { } below; step++)
        {
            link = below;
        }

        return link;
    }

    /// <exception cref="LocalClusterException">There is no iproute2 here.</exception>
    /// <exception cref="JsonException">It said something unexpected.</exception>
    public static async Task<LinkTable> ReadAsync(CancellationToken cancellation) =>
        Parse(await SystemCommand.RunAsync(["ip", "-json", "-details", "address", "show"], cancellation).ConfigureAwait(false));

    internal static LinkTable Parse(string json)
    {
        using var document = JsonDocument.Parse(json);
        return new LinkTable([.. document.RootElement.EnumerateArray().Where(one => one.TryGetProperty("ifname", out _)).Select(Read)]);
    }

    private static Link Read(JsonElement one)
    {
        var addresses = one.TryGetProperty("addr_info", out var list)
            ? list.EnumerateArray().Where(entry => entry.TryGetProperty("local", out _)).Select(entry => (Address: IPAddress.Parse(entry.GetProperty("local").GetString()!), Length: entry.GetProperty("prefixlen").GetInt32())).ToList() : [];
        var kind = one.TryGetProperty("linkinfo", out var info) && info.TryGetProperty("info_kind", out var named) ? named.GetString()! : "";
        return new Link(one.GetProperty("ifname").GetString()!, kind,
            // Of a veth it names the other end, which may be in another namespace: that is a cable, not a carrier.
            kind is "vlan" or "macvlan" or "macvtap" or "ipvlan" ? Text(one, "link") : null, Text(one, "master"),
            one.TryGetProperty("flags", out var flags) && flags.EnumerateArray().Any(flag => flag.GetString() is "LOWER_UP"),
            one.TryGetProperty("mtu", out var mtu) ? mtu.GetInt32() : 0, Text(one, "address") ?? "",
            [.. addresses.Select(address => NetworkOf(address.Address, address.Length))], [.. addresses.Select(address => address.Address)]);
    }

    internal static IPNetwork NetworkOf(IPAddress address, int length)
    {
        var bytes = address.GetAddressBytes();
        for (var bit = length; bit < bytes.Length * 8; bit++)
        {
            bytes[bit / 8] &= (byte)~(0x80 >> (bit % 8));
        }

        return new IPNetwork(new IPAddress(bytes), length);
    }

    private static string? Text(JsonElement one, string name) => one.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
