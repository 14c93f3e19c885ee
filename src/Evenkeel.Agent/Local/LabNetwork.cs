using System.Globalization;
using System.Net;
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
                await Plug(name, PublicInterface, "pub", PortName(node.Name.Value, LabLink.Public, 0, port), node.Public, Prefix(_spec.Networks.Public!.Value), cancellation)
                    .ConfigureAwait(false);
            }

            for (var link = 0; link < node.Private.Count; link++)
            {
                await Plug(name, $"priv{link}", $"priv{link}", PortName(node.Name.Value, LabLink.Private, link, port), node.Private[link],
                    Prefix(_spec.Networks.Private[Math.Min(link, _spec.Networks.Private.Count - 1)]), cancellation).ConfigureAwait(false);
            }

            port++;
        }

        if (_spec.Networks.Public is { } network)
        {
            var client = await AddHost("client", cancellation).ConfigureAwait(false);
            await Plug(client, PublicInterface, "pub", "client-p", FreeAddress(network), Prefix(network), cancellation).ConfigureAwait(false);
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
                await NftElement("add", "from", port, cancellation).ConfigureAwait(false);
            }

            if (!oneWay || deaf)
            {
                await NftElement("add", "to", port, cancellation).ConfigureAwait(false);
            }
        });

    public Task HealAsync(NodeName node, LabLink link, CancellationToken cancellation) =>
        ForEachPort(node, link, async port =>
        {
            await Ip(_switch, $"link set {port} up", cancellation).ConfigureAwait(false);
            await Uncut("from", port, cancellation).ConfigureAwait(false);
            await Uncut("to", port, cancellation).ConfigureAwait(false);
        });

    private async Task Uncut(string set, string port, CancellationToken cancellation)
    {
        // Removing what is not there would be a failure: put it in first.
        await NftElement("add", set, port, cancellation).ConfigureAwait(false);
        await NftElement("delete", set, port, cancellation).ConfigureAwait(false);
    }

    private const string CutTable =
        "table bridge evenkeel { set from { type ifname; }; set to { type ifname; }; " +
        "chain cut { type filter hook forward priority 0; policy accept; iifname @from drop; oifname @to drop; }; }";

    private Task NftElement(string verb, string set, string port, CancellationToken cancellation) =>
        SystemCommand.RunAsync(["ip", "netns", "exec", _switch, "nft", $"{verb} element bridge evenkeel {set} {{ \"{port}\" }}"], cancellation);

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
        string host, string nic, string bridge, string port, IPAddress address, int prefix, CancellationToken cancellation)
    {
        await Ip(_switch, $"link add {port} type veth peer name {nic} netns {host}", cancellation).ConfigureAwait(false);
        await Ip(_switch, $"link set {port} master {bridge} up", cancellation).ConfigureAwait(false);
        await Ip(host, $"addr add {address}/{prefix} dev {nic}", cancellation).ConfigureAwait(false);
        await Ip(host, $"link set {nic} up", cancellation).ConfigureAwait(false);
    }

    // Interface names hold at most 15 characters: the node's number rather than its name.
    private static string PortName(string node, LabLink link, int index, int number) =>
        link == LabLink.Public ? $"n{number}-pub" : $"n{number}-priv{index}";

    private IEnumerable<string> Bridges() =>
        Enumerable.Range(0, _spec.Nodes.Values.Max(node => node.Private.Count)).Select(link => $"priv{link}").Prepend("pub");

    private IPAddress FreeAddress(IPNetwork network)
    {
        var taken = _spec.Nodes.Values.Select(node => node.Public).Concat(_spec.Vips.Values.Select(vip => (IPAddress?)vip.Address)).ToHashSet();
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

    private static int Prefix(IPNetwork network) => network.PrefixLength;

    private static Task Ip(string name, string arguments, CancellationToken cancellation) =>
        SystemCommand.RunAsync(["ip", "-n", name, .. arguments.Split(' ')], cancellation);
}
