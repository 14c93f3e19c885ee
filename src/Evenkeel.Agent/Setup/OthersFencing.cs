using Evenkeel.Agent.Host;
using Evenkeel.Core.Model;
using Evenkeel.Services.Fencing;

namespace Evenkeel.Agent.Setup;

/// <summary>
/// Cuts the other voting nodes off by their fence devices before a store is recovered: where a device says that a node is off, nobody's
/// word is needed. The devices are those of the store that is recovered, as the cluster last decided them.
/// </summary>
public sealed class OthersFencing
{
    private readonly SortedDictionary<NodeName, FenceSpec?> _others = [];

    /// <param name="spec">Of the recovered store. A member that only the node's own configuration knows counts too: it may hold a vote.</param>
    public OthersFencing(AgentConfiguration own, ClusterSpec spec)
    {
        foreach (var node in own.StoreMembers.Keys.Select(name => new NodeName(name)).Concat(spec.Nodes.Values.Where(node => node.Votes).Select(node => node.Name)))
        {
            if (node != own.Node)
            {
                _others[node] = spec.Nodes.GetValueOrDefault(node)?.Fence;
            }
        }
    }

    /// <summary>Voting nodes that nothing here can cut off.</summary>
    public IReadOnlyList<NodeName> WithoutDevice => [.. _others.Where(other => other.Value is null).Select(other => other.Key)];

    /// <summary>Each node with the agents that would cut it off, level after level.</summary>
    public string Words => string.Join(", ", _others.Where(other => other.Value is not null)
        .Select(other => $"{other.Key} ({string.Join(", then ", new[] { other.Value! }.Concat(other.Value!.Then).Select(level => level.Agent))})"));

    /// <summary>
    /// One after the other, as several may share a device; none is switched on again, whatever <c>power_on</c> says. Ends at the first that is
    /// not surely off: the nodes behind it are left alone.
    /// </summary>
    /// <param name="restIsOff">An operator answers for those without a device.</param>
    /// <param name="tell">Told of each that is off.</param>
    /// <exception cref="SetupRefusedException">One has no device (nothing was cut off then), or is not confirmed off.</exception>
    public async Task CutOffAsync(bool restIsOff, Action<string> tell, CancellationToken cancellation)
    {
        if (!restIsOff && WithoutDevice is { Count: > 0 } without)
        {
            throw new SetupRefusedException($"{string.Join(", ", without)} cannot be fenced (no fence device in the cluster's file): nothing was cut off, nothing was changed",
                "Make sure yourself that it is off (power, or agent and etcd stopped), then say so with --others-are-off beside --fence");
        }

        List<NodeName> off = [];
        foreach (var (node, device) in _others)
        {
            if (device is null)
            {
                continue;
            }

            tell($"{node} is being cut off by {device.Agent}");
            var result = await new FenceDevice(node.Value, device).OffAsync(cancellation).ConfigureAwait(false);
            if (!result.Confirmed)
            {
                throw new SetupRefusedException($"{result.Reason}; nothing was changed here{(off.Count == 0 ? "" : $", {string.Join(", ", off)} is off already")}",
                    "Mend the device and try again, or switch the node off by hand, make sure, and say --others-are-off instead of --fence");
            }

            tell(result.Reason);
            off.Add(node);
        }
    }
}
