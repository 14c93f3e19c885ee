using Evenkeel.Agent.Control;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>A volume as this agent's loop knows it, in the control API's words. Pure.</summary>
internal static class VolumeReading
{
    public static VolumeReport Of(Knowledge known, VolumeSpec volume)
    {
        var resource = ResourceId.Volume(volume.Name);
        var user = known.UserOf(volume.Name);
        var owner = known.State.Ownerships.GetValueOrDefault(resource).Value?.Current;
        var set = known.SyncSetOf(resource.Value)?.Value;
        var counts = set is { Data: not null } && set.Epoch.Incarnation >= known.State.Incarnation;
        var writer = owner is null ? null : known.LiveInstance(owner.Node, resource.Value) is { } found && found.Epoch == owner.Epoch ? found : null;
        return new VolumeReport
        {
            Name = volume.Name,
            Level = volume.Level,
            Size = volume.Size,
            Service = user?.Name,
            MountAt = user?.Mounts.First(mount => mount.Volume == volume.Name).Path,
            Writer = owner,
            Mounted = writer is { Health: Health.Healthy },
            Legs = [.. volume.Legs.Select(leg => Leg(known, leg, resource.Value, counts ? set : null, writer, volume.IsAsynchronous(leg.Node) && leg.Node != owner?.Node))],
            Detail = writer?.Detail ?? (owner is null ? "" : "its writer is not there yet"),
            Reason = set?.Reason ?? "",
        };
    }

    private static VolumeLegReport Leg(Knowledge known, VolumeLeg leg, string instance, SyncSet? set, InstanceFacts? writer, bool asynchronous)
    {
        var inSync = set?.Members.Contains(leg.Node) == true;
        var facts = known.LiveInstance(leg.Node, instance);
        var served = facts is { Status: InstanceStatus.Running };
        var lag = asynchronous ? writer?.Replication?.Asynchronous.FirstOrDefault(one => one.Node == leg.Node) : null;
        var state = !served ? LegState.Away : inSync ? LegState.InSync : asynchronous ? StateOf(lag, set?.Following?.Contains(leg.Node) == true, facts!) : writer?.Replication?.Required.Contains(leg.Node) == true ? LegState.Syncing : LegState.Stale;
        var detail = state != LegState.Away ? lag?.Detail ?? "" : facts is null ? "its node is not heard" : facts.Detail.Length > 0 ? facts.Detail : facts.Status.ToString().ToLowerInvariant();
        // One that is away but in the set is waited for, or has just been lost.
        return new VolumeLegReport(leg.Node, leg.Path, state, state == LegState.Away && inSync ? $"{detail}, and has every acknowledged write".TrimStart(',', ' ') : detail)
        {
            Asynchronous = asynchronous,
            BacklogBytes = lag?.BacklogBytes,
            BacklogSeconds = lag?.Age?.TotalSeconds,
        };
    }

    // What the writer's node says goes before what is committed, and that before what the leg shows of itself.
    private static LegState StateOf(AsynchronousLeg? lag, bool named, InstanceFacts leg) => lag switch
    {
        { Lag: Lag.Following } => LegState.Following,
        { Lag: Lag.Syncing } => LegState.Syncing,
        { } => LegState.Stale,
        null when named => LegState.Following,
        null => leg.Position > 0 ? LegState.Stale : LegState.Syncing,
    };
}
