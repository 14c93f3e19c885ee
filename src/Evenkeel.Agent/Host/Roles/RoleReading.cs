using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Roles;

/// <summary>The roles that may be asked for.</summary>
internal static class RoleNames
{
    public const string Primary = "primary", Standby = "standby", Synchronous = "synchronous", Healthy = "healthy";
    public static readonly IReadOnlyList<string> All = [Primary, Standby, Synchronous, Healthy];
}

/// <summary>What this node's own instance of a service is, now. Nothing of another node is told.</summary>
/// <param name="Lag">A standby: bytes that it has yet to receive; null where not known.</param>
internal sealed record RoleReading(bool Serves, bool Active, bool Standby, bool Synchronous, long? Lag, string State)
{
    /// <summary>Null when the cluster has no such service.</summary>
    public static RoleReading? Of(AgentLoop agent, string name)
    {
        var known = agent.Known;
        if (known.Spec is not { } spec || !spec.Services.TryGetValue(name, out var service))
        {
            return null;
        }

        if (known.LiveInstance(known.Self, name) is not { } instance)
        {
            return new RoleReading(false, false, false, false, null, "not running here");
        }

        var serves = instance.Serves(service);
        // Who holds the lease acts; that the store's copy still names this node proves nothing.
        var active = serves && service.Activity == Activity.SingleActive && instance.Epoch is { } epoch && agent.Guard.HeldEpoch(ResourceId.Service(name)) == epoch;
        var standby = serves && service.Activity == Activity.SingleActive && instance.Epoch is null && (!service.IsReplicated || instance.Replication is { Streaming: true });
        var set = known.SyncSetOf(name)?.Value;
        var synchronous = standby && service.IsSynchronous && set is { IsQuorum: false } && set.Epoch.Incarnation >= known.State.Incarnation && set.Members.Contains(known.Self);
        var state = active ? "primary" : synchronous ? "standby, in sync" : standby ? "standby" : $"{instance.Status}, {instance.Health}".ToLowerInvariant();
        return new RoleReading(serves, active, standby, synchronous, agent.Lags.Of(name, known.Self)?.Bytes, state);
    }

    /// <param name="mostLag">Asked for a standby: one that lacks more, or nobody knows how much, is none.</param>
    public bool Has(string role, long? mostLag) => role switch
    {
        RoleNames.Primary => Active,
        RoleNames.Standby => Standby && (mostLag is null || Lag <= mostLag),
        RoleNames.Synchronous => Synchronous,
        _ => Serves,
    };
}
