using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Local;

/// <summary>Which of a node's two networks a cut concerns.</summary>
public enum LabLink { Public, Private }

/// <summary>
/// A network for a cluster of namespaces on one machine: a switch namespace with a public and a private bridge, a namespace
/// a node with an interface on each (<c>pub0</c>, <c>priv0</c>, <c>priv1</c>…), and a client namespace on the public bridge alone.
/// Needs root, iproute2 and nftables. Nothing reaches the host's own network.
/// </summary>
public sealed class LabNetwork
{
    public const string PublicInterface = "pub0";
    private readonly ClusterSpec _spec;
    private readonly string _switch;

    public LabNetwork(ClusterSpec spec)
    {
        _spec = spec;
        _switch = Name("switch");
    }

    /// <summary>The namespace of a node, or of <c>client</c>.</summary>
    public string Namespace(string node) => Name(node);

    public IEnumerable<string> Namespaces => _spec.Nodes.Keys.Select(node => Name(node.Value)).Append(Name("client")).Append(_switch);

    private string Name(string part) => $"ek-{_spec.Cluster}-{part}";

    /// <summary>Builds everything; what an earlier lab of this name left is taken down first.</summary>
    public async Task UpAsync(CancellationToken cancellation)
    {
        await DownAsync().ConfigureAwait(false);
        await SystemCommand.RunAsync(["ip", "netns", "add", _switch], cancellation).ConfigureAwait(false);
        await Ip(_switch, "link set lo up", cancellation).ConfigureAwait(false);
        foreach (var bridge in Bridges())
        {
            // No spanning tree and no forwarding delay: a port forwards as soon as it is up.
            await Ip(_switch, $"link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0", cancellation).ConfigureAwait(false);
            await Ip(_switch, $"link set {bridge} up", cancellation).ConfigureAwait(false);
        }

        await SystemCommand.RunAsync(["ip", "netns", "exec", _switch, "nft", CutTable], cancellation).ConfigureAwait(false);
        var port = 0;
        foreach (var node in _spec.Nodes.Values)
        {
            var name = await AddHost(node.Name.Value, cancellation).ConfigureAwait(false);
            if (node.Public is not null)
            {
                var addresses = node.AllPublic.Select(address => (address, _spec.Networks.AllPublic.First(network => network.Contains(address)).PrefixLength));
                await Plug(name, PublicInterface, "pub", PortName(node.Name.Value, LabLink.Public, 0, port), addresses, cancellation).ConfigureAwait(false);
            }

            for (var link = 0; link < node.Private.Count; link++)
            {
                await Plug(name, $"priv{link}", $"priv{link}", PortName(node.Name.Value, LabLink.Private, link, port),
                    [(node.Private[link], _spec.Networks.Private[Math.Min(link, _spec.Networks.Private.Count - 1)].PrefixLength)], cancellation).ConfigureAwait(false);
            }

            port++;
        }

        if (_spec.Networks.AllPublic is { Count: > 0 } networks)
        {
            var client = await AddHost("client", cancellation).ConfigureAwait(false);
            await Plug(client, PublicInterface, "pub", "client-p", networks.Select(network => (FreeAddress(network), network.PrefixLength)), cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Removes every namespace (and with them all interfaces); kills what still runs inside.</summary>
    public async Task DownAsync()
    {
        var existing = await ExistingNamespaces().ConfigureAwait(false);
        foreach (var name in existing.Where(name => name.StartsWith(Name(""), StringComparison.Ordinal)))
        {
            foreach (var process in await ProcessesIn(name).ConfigureAwait(false))
            {
                Signals.Send(process, Signals.Kill);
            }

            await SystemCommand.RunAsync(["ip", "netns", "del", name], CancellationToken.None).ConfigureAwait(false);
        }
    }

    public static async Task<IReadOnlyList<string>> ExistingNamespaces() =>
        [.. (await SystemCommand.RunAsync(["ip", "netns", "list"], CancellationToken.None).ConfigureAwait(false))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')[0])];

    /// <summary>Processes that live in the namespace.</summary>
    public static async Task<IReadOnlyList<int>> ProcessesIn(string name) =>
        [.. (await SystemCommand.RunAsync(["ip", "netns", "pids", name], CancellationToken.None).ConfigureAwait(false))
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => int.Parse(line, CultureInfo.InvariantCulture))];

    /// <summary>The cable is pulled: both ends lose the carrier.</summary>
    public Task CutAsync(NodeName node, LabLink link, CancellationToken cancellation) =>
        ForEachPort(node, link, port => Ip(_switch, $"link set {port} down", cancellation));

    /// <summary>The switch drops, the carrier stays. One way: the node still hears, but nobody hears it (or the reverse with <paramref name="deaf"/>).</summary>
    public Task SilentCutAsync(NodeName node, LabLink link, bool oneWay, bool deaf, CancellationToken cancellation) =>
        ForEachPort(node, link, async port =>
        {
            if (!oneWay || !deaf)
            {
                await Nft("add " + Element("from", port), cancellation).ConfigureAwait(false);
            }

            if (!oneWay || deaf)
            {
                await Nft("add " + Element("to", port), cancellation).ConfigureAwait(false);
            }
        });

    public Task HealAsync(NodeName node, LabLink link, CancellationToken cancellation) =>
        ForEachPort(node, link, async port =>
        {
            await Ip(_switch, $"link set {port} up", cancellation).ConfigureAwait(false);
            await Uncut("from", port, cancellation).ConfigureAwait(false);
            await Uncut("to", port, cancellation).ConfigureAwait(false);
        });

    // Removing what is not there would be a failure, so it is put in first: in one transaction, which no packet sees half done.
    private Task Uncut(string set, string port, CancellationToken cancellation) =>
        Nft($"add {Element(set, port)}; delete {Element(set, port)}", cancellation);

    private const string CutTable =
        "table bridge evenkeel { set from { type ifname; }; set to { type ifname; }; " +
        "chain cut { type filter hook forward priority 0; policy accept; iifname @from drop; oifname @to drop; }; }";

    private static string Element(string set, string port) => $"element bridge evenkeel {set} {{ \"{port}\" }}";

    private Task Nft(string commands, CancellationToken cancellation) =>
        SystemCommand.RunAsync(["ip", "netns", "exec", _switch, "nft", commands], cancellation);

    private async Task ForEachPort(NodeName node, LabLink link, Func<string, Task> act)
    {
        var spec = _spec.Nodes[node];
        var index = _spec.Nodes.Keys.ToList().IndexOf(node);
        var count = link == LabLink.Public ? (spec.Public is null ? 0 : 1) : spec.Private.Count;
        for (var i = 0; i < count; i++)
        {
            await act(PortName(node.Value, link, i, index)).ConfigureAwait(false);
        }
    }

    private async Task<string> AddHost(string host, CancellationToken cancellation)
    {
        var name = Name(host);
        await SystemCommand.RunAsync(["ip", "netns", "add", name], cancellation).ConfigureAwait(false);
        await Ip(name, "link set lo up", cancellation).ConfigureAwait(false);
        return name;
    }

    private async Task Plug(
        string host, string nic, string bridge, string port, IEnumerable<(IPAddress Address, int Prefix)> addresses, CancellationToken cancellation)
    {
        await Ip(_switch, $"link add {port} type veth peer name {nic} netns {host}", cancellation).ConfigureAwait(false);
        await Ip(_switch, $"link set {port} master {bridge} up", cancellation).ConfigureAwait(false);
        foreach (var (address, prefix) in addresses)
        {
            // Nobody else is on this network: an IPv6 address that waited for an objection would be of no use for a second.
            await Ip(host, $"addr add {address}/{prefix} dev {nic}{(address.AddressFamily == AddressFamily.InterNetworkV6 ? " nodad" : "")}", cancellation).ConfigureAwait(false);
        }

        await Ip(host, $"link set {nic} up", cancellation).ConfigureAwait(false);
    }

    // Interface names hold at most 15 characters: the node's number rather than its name.
    private static string PortName(string node, LabLink link, int index, int number) =>
        link == LabLink.Public ? $"n{number}-pub" : $"n{number}-priv{index}";

    private IEnumerable<string> Bridges() =>
        Enumerable.Range(0, _spec.Nodes.Values.Max(node => node.Private.Count)).Select(link => $"priv{link}").Prepend("pub");

    private IPAddress FreeAddress(IPNetwork network)
    {
        var taken = _spec.Nodes.Values.SelectMany(node => node.AllPublic).Concat(_spec.Vips.Values.Select(vip => vip.Address)).ToHashSet();
        for (var host = 200; host > 1; host--)
        {
            var bytes = network.BaseAddress.GetAddressBytes();
            bytes[^1] |= (byte)host;
            var candidate = new IPAddress(bytes);
            if (network.Contains(candidate) && !taken.Contains(candidate))
            {
                return candidate;
            }
        }

        throw new InvalidOperationException($"no free address for the client in {network}");
    }

    private static Task Ip(string name, string arguments, CancellationToken cancellation) =>
        SystemCommand.RunAsync(["ip", "-n", name, .. arguments.Split(' ')], cancellation);
}
