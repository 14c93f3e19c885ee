using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Replication;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>The cluster as this agent's loop knows it, in the control API's words. Pure.</summary>
internal static class StatusReading
{
    public static StatusReport Of(AgentLoop agent, AgentConfiguration configuration, FenceDevices fences, IReadOnlyList<string> limits, StoreReport store, DateTimeOffset now)
    {
        var known = agent.Known;
        var spec = known.Spec;
        return new StatusReport
        {
            Cluster = configuration.Cluster,
            AnsweredBy = configuration.Node,
            At = now,
            Revision = known.State.Revision,
            SpecRevision = known.State.Spec?.Revision ?? 0,
            Controller = agent.Controller,
            Store = store,
            Nodes = [.. (spec?.Nodes.Values ?? []).OrderBy(node => node.Name).Select(node => Node(agent, fences, limits, node))],
            Vips = [.. (spec?.Vips.Values ?? []).Select(vip => Vip(known, vip))],
            Volumes = [.. (spec?.Volumes.Values ?? []).OrderBy(volume => volume.Name, StringComparer.Ordinal).Select(volume => VolumeReading.Of(known, volume))],
            Services = [.. (spec?.Services.Values ?? []).Select(service => Service(known, agent.Lags, spec!, service))],
            Backups = BackupReading.Of(spec, known.State, now),
        };
    }

    public static NodeVerdict Judge(Knowledge known, NodeSpec node, ServiceSpec service, IReadOnlyCollection<NodeName> chosen)
    {
        var against = new List<string>();
        if (node.Role == NodeRole.Witness)
        {
            against.Add("it is a witness");
        }

        if (!known.IsAlive(node.Name))
        {
            against.Add("it is not heard");
        }

        if (known.ModeOf(node.Name) is not NodeMode.Active and var mode)
        {
            against.Add($"it is in mode {mode.ToString().ToLowerInvariant()}");
        }

        if (service.Placement.Avoid.Contains(node.Name))
        {
            against.Add("the file says to avoid it");
        }

        var reasons = service.Placement.Prefer.Contains(node.Name) ? against.Prepend("the file prefers it").ToList() : against;
        if (known.LiveInstance(node.Name, service.Name) is { } instance)
        {
            reasons.Add($"its instance is {instance.Status.ToString().ToLowerInvariant()}, {instance.Health.ToString().ToLowerInvariant()}");
        }

        var verdict = chosen.Contains(node.Name) ? Verdict.Chosen : against.Count > 0 ? Verdict.Excluded : Verdict.Possible;
        return new NodeVerdict(node.Name, verdict, null, reasons);
    }

    private static NodeReport Node(AgentLoop agent, FenceDevices fences, IReadOnlyList<string> limits, NodeSpec node)
    {
        var known = agent.Known;
        var self = node.Name == known.Self;
        var facts = known.FactsOf(node.Name);
        var record = known.State.Nodes.GetValueOrDefault(node.Name).Value;
        var unheard = known.Peers.Find(node.Name) is { Last: not null } peer ? known.Awake - peer.HeardAt : TimeSpan.Zero;
        return new NodeReport
        {
            Name = node.Name,
            Role = node.Role,
            Reach = self || known.IsAlive(node.Name) ? Reach.Alive : facts is null ? Reach.Unknown : Reach.Lost,
            Silence = unheard >= known.Timings.Detection ? unheard : null,
            Mode = record?.Mode ?? NodeMode.Active,
            ModeReason = record?.Reason ?? "",
            Votes = node.Votes,
            GuardConnected = facts?.Guard.Value is > 0,
            Ready = facts?.Ready ?? false,
            PublicUp = facts?.PublicUp ?? true,
            ShutDoors = facts?.Shut ?? [],
            LoadPerCore = facts?.LoadPerCore ?? 0,
            Program = facts?.Program ?? "",
            Restarting = known.IsAway(node.Name) || (facts is { Restarting: true } && known.IsAlive(node.Name)),
            StoreReachable = facts?.StoreReachable ?? true,
            ClockAhead = facts is { WallClock: > 0 and var theirs } && known.Own.WallClock is > 0 and var ours ? TimeSpan.FromSeconds(theirs - ours) : null,
            Public = node.Public,
            Private = node.Private,
            Fence = known.FenceOf(node.Name) is { } fence ? new FenceReport(fence.Phase, fence.Reason, fence.Detail) : null,
            HasFenceDevice = node.Fence is not null,
            FenceProblems = fences.ProblemsOf(node.Name) ?? [],
            Concerns = facts?.Concerns ?? [],
            Limits = self ? [.. agent.Guard.Missing, .. limits] : [],
        };
    }

    private static VipReport Vip(Knowledge known, VipSpec vip)
    {
        var resource = ResourceId.Vip(vip.Name);
        var ownership = known.State.Ownerships.GetValueOrDefault(resource).Value;
        return new VipReport(vip.Name, vip.Address, ownership?.Current, ownership?.Reason ?? "")
        {
            MovesTo = MovesTo(known, resource),
            Held = ownership?.Current is { } owner && known.IsAlive(owner.Node)
                && known.FactsOf(owner.Node)?.Held.Any(held => held.Resource == resource && held.Epoch == owner.Epoch) == true,
        };
    }

    private static NodeName? MovesTo(Knowledge known, ResourceId resource) => known.State.Moves.TryGetValue(resource, out var move) ? move.Value.To : null;

    private static ServiceReport Service(Knowledge known, LagBook lags, ClusterSpec spec, ServiceSpec service) => new()
    {
        Name = service.Name,
        Redundancy = service.Redundancy,
        Activity = service.Activity,
        Wanted = service.Instances,
        Owner = known.State.Ownerships.GetValueOrDefault(ResourceId.Service(service.Name)).Value?.Current,
        MovesTo = MovesTo(known, ResourceId.Service(service.Name)),
        Instances =
        [
            .. from node in spec.Nodes.Keys
               let instance = known.LiveInstance(node, service.Name)
               where instance is not null
               let lag = lags.Of(service.Name, node)
               select new InstanceReport(node, instance.Status, instance.Health, instance.Restarts, instance.Detail)
               {
                   RestartPending = instance.Detail.StartsWith(InstanceFacts.RestartPending, StringComparison.Ordinal),
                   RestartAsked = known.State.Restarts.ContainsKey(new RestartRequest(service.Name, node).Key),
                   Ban = instance.Ban, PromotionScore = instance.PromotionScore,
                   Active = instance.Epoch is not null, LagBytes = lag?.Bytes, LagTransactions = lag?.Transactions, LagTime = lag?.Age,
               },
        ],
        Data = service.IsReplicated ? Data(known, service) : null,
        Doors = [.. service.Publish.Select(door => Door(spec, door))],
        Rto = service.Objectives.Rto,
        Rpo = service.Objectives.Rpo,
    };

    private static DataReport Data(Knowledge known, ServiceSpec service)
    {
        var set = known.State.SyncSets.GetValueOrDefault(service.Name).Value;
        var counts = set is not null && set.Epoch.Incarnation >= known.State.Incarnation;
        return new DataReport(counts ? set!.Members : [], service.IsSynchronous, service.Driver is PostgreSqlDriverSpec { Strict: true }, set?.Reason ?? "")
        {
            Any = counts && set!.IsQuorum ? set.Copies : null,
            Undecided = Core.Failover.FoundData.Problem(known, service) is (var what, var help) ? new UndecidedReport(what, help) : null,
        };
    }

    private static string Door(ClusterSpec spec, PublishSpec door)
    {
        var address = new System.Net.IPEndPoint(spec.Vips[door.Vip].Address, door.Port);
        return door.Protocol == PublishProtocol.Tcp ? $"tcp://{address}" : door.Door.Http.Tls is null ? $"http://{address}/" : $"https://{address}/";
    }
}
