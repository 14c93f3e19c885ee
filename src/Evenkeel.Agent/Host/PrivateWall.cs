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
/// table <c>evenkeel_private</c>). Outlives the agent: what it keeps clients out of may still run. Looked at again and again:
/// who loads a firewall anew (<c>flush ruleset</c>) takes it away too.
/// </summary>
/// <param name="run">Runs a command to its end, as <see cref="SystemCommand.RunAsync"/> does.</param>
internal sealed class PrivateWall(AgentConfiguration configuration, Action<string> log, Func<IReadOnlyList<string>, CancellationToken, Task<string>>? run = null)
{
    private const string Table = "evenkeel_private";
    private const int TicksBetweenLooks = 5;
    private static readonly TimeSpan Tick = TimeSpan.FromSeconds(1);
    private readonly Func<IReadOnlyList<string>, CancellationToken, Task<string>> _run = run ?? SystemCommand.RunAsync;
    private IReadOnlyList<string>? _kept;
    // As nf_tables tells it, right after it was built; null while it is not.
    private string? _built;
    private string? _reason;

    /// <summary>Why clients may reach the private networks through this node; null is best.</summary>
    public NodeConcern? Missing { get; private set; }

    /// <summary>Builds it for this node's own addresses at once, and for the file's networks as soon as they are known; builds it anew where it does not stand; until cancelled.</summary>
    public async Task FollowAsync(Func<Versioned<ClusterSpec>?> spec, CancellationToken cancellation)
    {
        if (configuration.PublicInterface is null)
        {
            return;
        }

        using var timer = new PeriodicTimer(Tick);
        long seen = 0;
        IReadOnlyList<IPNetwork> networks = [];
        try
        {
            await LookAsync(networks, cancellation).ConfigureAwait(false);
            for (var ticks = 1; await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false); ticks++)
            {
                var changed = false;
                if (spec() is { } committed && committed.Revision != seen)
                {
                    (seen, networks, changed) = (committed.Revision, committed.Value.Networks.Private, true);
                }

                if (changed || ticks % TicksBetweenLooks == 0)
                {
                    await LookAsync(networks, cancellation).ConfigureAwait(false);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The agent stops; the wall stands.
        }
    }

    /// <summary>Builds it, unless it stands as it was built for the same networks.</summary>
    internal async Task LookAsync(IReadOnlyList<IPNetwork> networks, CancellationToken cancellation)
    {
        List<string> kept = [.. networks.Select(network => network.ToString()).Concat(configuration.Private).Distinct().Order(StringComparer.Ordinal)];
        var same = _kept is not null && kept.SequenceEqual(_kept);
        var stood = same && _built is not null;
        if (stood && await ListAsync(cancellation).ConfigureAwait(false) == _built)
        {
            return;
        }

        _kept = kept;
        _built = null;
        var shared = SharedInterface();
        var reason = shared ? $"{configuration.PublicInterface} carries both networks" : await TryAsync(kept, cancellation).ConfigureAwait(false);
        if (reason is null)
        {
            _built = await ListAsync(cancellation).ConfigureAwait(false);
        }

        if (reason is not null && reason != _reason)
        {
            log($"clients are not kept out of the private networks: {reason}");
        }
        else if (reason is null && (stood || _reason is not null))
        {
            log(stood ? "the wall around the private networks was taken away or changed by another program: it is built anew" : "clients are kept out of the private networks again");
        }

        _reason = reason;
        Missing = reason is null ? null : new NodeConcern(shared ? NodeConcern.PrivateNetworkShared : NodeConcern.PrivateNetworkOpen,
            $"clients are not kept out of the private networks ({reason}): certificates alone protect them");
    }

    /// <summary>What stands, without its counters; null where none does, or nobody can say.</summary>
    private async Task<string?> ListAsync(CancellationToken cancellation)
    {
        try
        {
            return await _run(["nft", "--stateless", "list", "table", "inet", Table], cancellation).ConfigureAwait(false);
        }
        catch (LocalClusterException)
        {
            return null;
        }
    }

    private bool SharedInterface() => NetworkInterface.GetAllNetworkInterfaces().Where(one => one.Name == configuration.PublicInterface)
        .SelectMany(one => one.GetIPProperties().UnicastAddresses).Any(own => configuration.Private.Contains(own.Address.ToString()));

    private async Task<string?> TryAsync(IReadOnlyList<string> kept, CancellationToken cancellation)
    {
        try
        {
            await _run(["nft", Ruleset(configuration.PublicInterface!, kept)], cancellation).ConfigureAwait(false);
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
            table inet {{Table}}
            delete table inet {{Table}}
            table inet {{Table}} {
            {{Rules("ip", four)}}{{Rules("ip6", six)}}  chain in {
                type filter hook prerouting priority raw; policy accept;
            {{Drops("ip", four.Count > 0)}}{{Drops("ip6", six.Count > 0)}}  }
            }
            """;
    }
}
