using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Keeps clients out of the private networks. A Linux host answers for each of its addresses on each of its interfaces, so
/// without this a client that sends to a node's private address by the public network is heard; and a node that forwards
/// would pass it on. What comes in by the public interface for a private network, or as if from one, is dropped (nf_tables,
/// table <c>evenkeel_private</c>). Outlives the agent: what it keeps clients out of may still run.
/// </summary>
internal sealed class PrivateWall(AgentConfiguration configuration, Action<string> log)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private IReadOnlyList<string>? _standing;

    /// <summary>Why clients may reach the private networks through this node; null is best.</summary>
    public NodeConcern? Missing { get; private set; }

    /// <summary>Builds it for this node's own addresses at once, and for the file's networks as soon as they are known; until cancelled.</summary>
    public async Task FollowAsync(Func<Versioned<ClusterSpec>?> spec, CancellationToken cancellation)
    {
        if (configuration.PublicInterface is null)
        {
            return;
        }

        using var timer = new PeriodicTimer(Period);
        long seen = 0;
        try
        {
            await BuildAsync([], cancellation).ConfigureAwait(false);
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
            {
                if (spec() is { } committed && committed.Revision != seen)
                {
                    seen = committed.Revision;
                    await BuildAsync(committed.Value.Networks.Private, cancellation).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The agent stops; the wall stands.
        }
    }

    private async Task BuildAsync(IReadOnlyList<IPNetwork> networks, CancellationToken cancellation)
    {
        List<string> kept = [.. networks.Select(network => network.ToString()).Concat(configuration.Private).Distinct().Order(StringComparer.Ordinal)];
        if (_standing is not null && kept.SequenceEqual(_standing))
        {
            return;
        }

        var shared = SharedInterface();
        var reason = shared ? $"{configuration.PublicInterface} carries both networks" : await TryAsync(kept, cancellation).ConfigureAwait(false);
        if (reason is not null)
        {
            log($"clients are not kept out of the private networks: {reason}");
        }

        Missing = reason is null ? null : new NodeConcern(shared ? NodeConcern.PrivateNetworkShared : NodeConcern.PrivateNetworkOpen,
            $"clients are not kept out of the private networks ({reason}): certificates alone protect them");
        _standing = kept;
    }

    private bool SharedInterface() => NetworkInterface.GetAllNetworkInterfaces().Where(one => one.Name == configuration.PublicInterface)
        .SelectMany(one => one.GetIPProperties().UnicastAddresses).Any(own => configuration.Private.Contains(own.Address.ToString()));

    private async Task<string?> TryAsync(IReadOnlyList<string> kept, CancellationToken cancellation)
    {
        try
        {
            await SystemCommand.RunAsync(["nft", Ruleset(configuration.PublicInterface!, kept)], cancellation).ConfigureAwait(false);
            return null;
        }
        catch (LocalClusterException exception)
        {
            return exception.Message.ReplaceLineEndings(" ");
        }
    }

    /// <summary>One transaction that takes the place of what stood before. In prerouting, before any firewall: what is dropped is neither taken nor forwarded.</summary>
    internal static string Ruleset(string publicInterface, IReadOnlyList<string> kept)
    {
        string Rules(string family, IEnumerable<string> addresses) => string.Join(", ", addresses) is { Length: > 0 } list
            ? $$"""
                set {{family}}_private { type {{(family == "ip" ? "ipv4_addr" : "ipv6_addr")}}; flags interval; auto-merge; elements = { {{list}} }; }

              """ : "";
        string Drops(string family, bool any) => !any ? "" : $"""
                iifname "{publicInterface}" {family} daddr @{family}_private counter drop
                iifname "{publicInterface}" {family} saddr @{family}_private counter drop

            """;
        var four = kept.Where(one => IPAddress.Parse(one.Split('/')[0]).AddressFamily == AddressFamily.InterNetwork).ToList();
        var six = kept.Except(four).ToList();
        return $$"""
            table inet evenkeel_private
            delete table inet evenkeel_private
            table inet evenkeel_private {
            {{Rules("ip", four)}}{{Rules("ip6", six)}}  chain in {
                type filter hook prerouting priority raw; policy accept;
            {{Drops("ip", four.Count > 0)}}{{Drops("ip6", six.Count > 0)}}  }
            }
            """;
    }
}
