using System.Net;
using System.Net.Sockets;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>Nobody but the cluster has its addresses: virtual IPs are free or their owner's, the node's own are its own.</summary>
internal sealed class ConflictCheck(PreflightSubject subject, LinkTable links) : PreflightCheck("address-conflict", subject)
{
    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        var found = new List<PreflightFinding>();
        foreach (var own in Subject.Self.AllPublic.Concat(Subject.Self.Private))
        {
            if (links.With(own) is { Hardware.Length: > 0 } link && await AskAsync(own, link, cancellation).ConfigureAwait(false) is { Count: > 0 } others)
            {
                found.Add(Failed($"{own} is this node's, and {string.Join(", ", others)} has it too (seen on {link.Name})", "Find that machine by its hardware address (switch, ip neigh) and give it another one"));
            }
        }

        if (Subject.Self.Public is { } address && links.With(address) is { } open)
        {
            var nodes = await NodesAsync(open, cancellation).ConfigureAwait(false);
            foreach (var vip in Subject.Spec.Vips.Values.OrderBy(vip => vip.Name, StringComparer.Ordinal))
            {
                found.Add(await OfVipAsync(vip.Name, vip.Address, open, nodes, cancellation).ConfigureAwait(false));
            }
        }

        return found.Count > 0 ? found : [Passed("nobody else has this node's addresses")];
    }

    private async Task<PreflightFinding> OfVipAsync(string name, IPAddress vip, Link open, Dictionary<string, string> nodes, CancellationToken cancellation)
    {
        var owner = Subject.Owners.TryGetValue(name, out var holder) ? holder.Value : null;
        if (!Subject.Runs && links.With(vip) is { } configured)
        {
            return Failed($"the virtual IP {vip} ({name}) is configured on this server's {configured.Name}", $"ip address del {vip} dev {configured.Name}, and from the server's network configuration: the cluster adds it itself");
        }

        var answers = await AskAsync(vip, open, cancellation).ConfigureAwait(false);
        var strangers = answers.Where(answer => !nodes.ContainsKey(answer)).ToList();
        if (strangers.Count > 0)
        {
            return Failed($"the virtual IP {vip} ({name}) is in use already, by {string.Join(", ", strangers)}, no node of this cluster", "Find that machine by its hardware address (switch, ip neigh), or choose another address");
        }

        if (answers.Count == 0)
        {
            return Passed($"the virtual IP {vip} ({name}) is {(owner is null ? "free" : $"{owner}'s alone")}");
        }

        var who = string.Join(" and ", answers.Select(answer => nodes[answer]).Order(StringComparer.Ordinal));
        return !Subject.Runs ? Failed($"the virtual IP {vip} ({name}) is in use already, by {who}", $"Is the cluster running there? Else take it from {who}'s network configuration: the cluster adds it itself")
            : answers.Count > 1 ? Failed($"{who} both answer for the virtual IP {vip} ({name})", "Take it from the network configuration of the one that evenkeel status does not name as owner")
            : who != owner ? Warning($"{who} answers for the virtual IP {vip} ({name}), which is {owner ?? "nobody"}'s", "Was it moving just now? Run it again; else take it from that server's network configuration")
            : Passed($"the virtual IP {vip} ({name}) is {owner}'s alone");
    }

    /// <summary>The nodes of the cluster by their public interfaces' hardware addresses; of those that answer.</summary>
    private async Task<Dictionary<string, string>> NodesAsync(Link open, CancellationToken cancellation)
    {
        var nodes = new Dictionary<string, string>(StringComparer.Ordinal);
        var asked = Subject.Others.Where(node => node.Public is not null).Select(async node => (node.Name, Answers: await AskAsync(node.Public!, open, cancellation).ConfigureAwait(false)));
        foreach (var (node, answers) in await Task.WhenAll(asked).ConfigureAwait(false))
        {
            foreach (var answer in answers)
            {
                nodes[answer] = node.Value;
            }
        }

        return nodes;
    }

    private static async Task<HashSet<string>> AskAsync(IPAddress address, Link link, CancellationToken cancellation)
    {
        // An interface without the family cannot ask for it.
        if (link.Addresses.All(own => own.AddressFamily != address.AddressFamily) && address.AddressFamily == AddressFamily.InterNetwork)
        {
            return [];
        }

        return await AddressProbe.AskAsync(address, link.Name, cancellation).ConfigureAwait(false);
    }
}
