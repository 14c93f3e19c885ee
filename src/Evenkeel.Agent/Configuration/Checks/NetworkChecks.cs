using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Configuration.Yaml;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>Networks apart from each other, every address in its network, no address twice.</summary>
internal static class NetworkChecks
{
    public static void All(YamlMap file, ClusterSpec spec, Findings findings)
    {
        NetworksApart(spec, findings);
        var declared = file.Get("networks") is not YamlMap all || all.Get("public") is not null;
        AddressesInside(spec, declared, findings);
        NoAddressTwice(spec, findings);
        if (!declared && file.Get("vips") is YamlMap { Entries.Count: > 0 })
            findings.Error("vips", "there are virtual IPs, but no public network that they could be in", "Add 'public: NETWORK' to 'networks'");
    }

    private static void NetworksApart(ClusterSpec spec, Findings findings)
    {
        var all = new List<(string Path, IPNetwork Network)>();
        all.AddRange(spec.Networks.AllPublic.Select((network, i) => (Link("networks.public", i, spec.Networks.AllPublic.Count), network)));
        var clients = all.Count;
        all.AddRange(spec.Networks.Private.Select((network, link) => (Link("networks.private", link, spec.Networks.Private.Count), network)));
        for (var i = 0; i < all.Count; i++)
            for (var j = i + 1; j < all.Count; j++)
                if (Overlap(all[i].Network, all[j].Network))
                    findings.Error(all[j].Path, all[i].Network.Equals(all[j].Network) ? $"{all[j].Network} is also {all[i].Path}" : $"{all[j].Network} overlaps {all[i].Path} ({all[i].Network})",
                        i < clients && j < clients ? "Give it once" : i < clients
                            ? "Give the nodes a network of their own: what floods the public connection must not silence heartbeats, and clients must not reach the private one"
                            : "Two links in one network fail together; give each a network of its own");
    }

    private static void AddressesInside(ClusterSpec spec, bool publicDeclared, Findings findings)
    {
        foreach (var vip in spec.Vips.Values)
            Inside(vip.Address, spec.Networks.AllPublic, VipPath(spec, vip, findings), "the public network", findings);
        foreach (var node in spec.Nodes.Values)
        {
            if (node.Public is not null && !publicDeclared)
                findings.Error($"nodes.{node.Name}.public", "the node has a public address, but there is no public network", "Add 'public: NETWORK' to 'networks', or leave the address out");
            for (var i = 0; i < node.AllPublic.Count; i++)
                Inside(node.AllPublic[i], spec.Networks.AllPublic, Link($"nodes.{node.Name}.public", i, node.AllPublic.Count), "the public network", findings);
            var path = $"nodes.{node.Name}.private";
            if (spec.Networks.Private.Count > 0 && node.Private.Count != spec.Networks.Private.Count)
                findings.Error(path, $"{node.Private.Count} private addresses for {spec.Networks.Private.Count} private networks", "Give one address for each of 'networks.private', in the same order");
            else
                for (var link = 0; link < node.Private.Count && link < spec.Networks.Private.Count; link++)
                    Inside(node.Private[link], [spec.Networks.Private[link]], Link(path, link, node.Private.Count), "the private network", findings);
        }
    }

    private static void Inside(IPAddress address, IReadOnlyList<IPNetwork> networks, string path, string what, Findings findings)
    {
        if (networks.Count == 0)
            return;
        if (!networks.Any(network => network.Contains(address)))
        {
            var names = string.Join(" or ", networks);
            findings.Error(path, $"{address} is not in {what} {names}", $"Choose an address of {names}, or widen the network");
            return;
        }
        var known = networks.First(network => network.Contains(address));
        if (known.PrefixLength < 31 && address.AddressFamily == AddressFamily.InterNetwork && (address.Equals(known.BaseAddress) || address.Equals(Broadcast(known))))
            findings.Error(path, $"{address} is the {(address.Equals(known.BaseAddress) ? "network's own" : "broadcast")} address of {known}", "Choose a host address between the two ends");
    }

    private static void NoAddressTwice(ClusterSpec spec, Findings findings)
    {
        var seen = new Dictionary<IPAddress, string>();
        foreach (var (address, path) in
            spec.Nodes.Values.SelectMany(node => node.Private.Select((address, link) => (address, Link($"nodes.{node.Name}.private", link, node.Private.Count))))
            .Concat(spec.Nodes.Values.SelectMany(node => node.AllPublic.Select((address, i) => (address, Link($"nodes.{node.Name}.public", i, node.AllPublic.Count)))))
            .Concat(spec.Vips.Values.Select(vip => (vip.Address, VipPath(spec, vip, findings)))))
            if (!seen.TryAdd(address, path))
                findings.Error(path, $"{address} is also {seen[address]}", path.StartsWith("vips.", StringComparison.Ordinal)
                    ? "A virtual IP moves between nodes: give it an address that no node has" : "Give each its own address");
    }

    private static string VipPath(ClusterSpec spec, VipSpec vip, Findings findings) =>
        findings.Root is { } root && KeyPath.Nearest(root, $"vips.{vip.Name}").Value is YamlMap ? $"vips.{vip.Name}.address" : $"vips.{vip.Name}";

    // One private address may stand without brackets: then its path has no index. A wrong guess only costs the column.
    private static string Link(string path, int link, int count) => count == 1 ? path : $"{path}[{link}]";

    private static bool Overlap(IPNetwork a, IPNetwork b) =>
        a.BaseAddress.AddressFamily == b.BaseAddress.AddressFamily && (a.Contains(b.BaseAddress) || b.Contains(a.BaseAddress));

    private static IPAddress Broadcast(IPNetwork network)
    {
        var bytes = network.BaseAddress.GetAddressBytes();
        for (var bit = network.PrefixLength; bit < 8 * bytes.Length; bit++)
            bytes[bit / 8] |= (byte)(0x80 >> (bit % 8));
        return new IPAddress(bytes);
    }
}
