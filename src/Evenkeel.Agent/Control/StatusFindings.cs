using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Control;

/// <param name="Alert">A stable word for programs, as in <c>docs/operations/alerts.md</c>.</param>
/// <param name="Subject"><c>node/n1</c>, <c>vip/front</c>, <c>service/web</c>, <c>store</c>, <c>controller</c>.</param>
/// <param name="What">What is the matter.</param>
/// <param name="Do">What the reader should do.</param>
public sealed record Finding(Concern Concern, string Alert, string Subject, string What, string Do);

/// <summary>Is everything all right, and if not, what to do: a pure reading of a status report, worst first.</summary>
public static class StatusFindings
{
    /// <summary>Two readings may each be a second old, and beats take their time.</summary>
    private static readonly TimeSpan ClocksApart = TimeSpan.FromSeconds(5);

    public static IReadOnlyList<Finding> Of(StatusReport status) =>
        [.. OfStore(status).Concat(OfQuorum(status)).Concat(status.Vips.SelectMany(OfVip)).Concat(status.Services.SelectMany(service => OfService(status, service))).Concat(status.Volumes.SelectMany(VolumeFindings.Of))
            .Concat(status.Nodes.SelectMany(node => OfNode(status, node))).Concat(OfVersions(status)).Concat(status.Backups.SelectMany(job => BackupFindings.Of(job, status.At, Words))).Concat(status.AlertProblems.Select(problem => OfAlerts(status, problem))).DistinctBy(finding => (finding.Alert, finding.Subject, finding.What)).OrderByDescending(finding => finding.Concern)];

    private static IEnumerable<Finding> OfStore(StatusReport status)
    {
        if (!status.Store.HasQuorum)
            yield return new(Concern.Degraded, "store-no-majority", "store", "the coordination store has no majority: what runs goes on, nothing can move",
                "Bring back the lost nodes, or the network between them");
        foreach (var alarm in status.Store.Alarms)
            yield return new(Concern.Degraded, "store-alarm", "store", $"the coordination store raises an alarm: {alarm}", Mend(alarm));
        if (status.Store.HasQuorum && status.SpecRevision == 0)
            yield return new(Concern.Down, "nothing-applied", "store", "no cluster file has been applied yet", "evenkeel apply cluster.yaml");
        else if (status.Controller is null)
            yield return new(Concern.Degraded, "no-controller", "controller", "nobody decides at the moment: what runs goes on, nothing can move",
                "Look again in a second; if it stays so, see evenkeel events");
    }

    // NOSPACE is etcd's own quota, not the disk (its 'no space left on device' is).
    private static string Mend(string alarm) =>
        alarm.Contains("quota", StringComparison.Ordinal) || alarm.Contains("NOSPACE", StringComparison.Ordinal)
            ? "The agents make room by themselves within a minute; if it stays so, see docs/operations/recovery.md"
        : alarm.Contains("was not found", StringComparison.Ordinal) || alarm.Contains("or later is needed", StringComparison.Ordinal) ? "Install etcd as it says; it is started by itself"
        : alarm.Contains("CORRUPT", StringComparison.Ordinal) ? "The members disagree: evenkeel recover --rejoin on the one that is named"
        : alarm.Contains("space", StringComparison.OrdinalIgnoreCase) ? "Free disk space on the voting nodes"
        : alarm.Contains("evenkeel remove", StringComparison.Ordinal) ? "As it says; its vote is missed in every majority"
        : alarm.Contains("recover --rejoin", StringComparison.Ordinal) ? "See docs/operations/recovery.md"
        : "See the agent's log on that node, and etcd.log in its state directory";

    private static IEnumerable<Finding> OfVersions(StatusReport status)
    {
        // One that is heard and does not say which it runs is of before nodes said so.
        var versions = status.Nodes.Where(node => node.Program.Length > 0 || node.Reach == Reach.Alive).GroupBy(node => node.Program, StringComparer.Ordinal).ToList();
        if (versions.Count > 1)
            yield return new(Concern.Note, "versions-differ", "nodes", $"nodes run different versions: {string.Join("; ", versions.Select(version => $"{string.Join(", ", version.Select(node => node.Name))} {(version.Key.Length > 0 ? version.Key : "an older one")}"))}",
                "End the upgrade that is under way: docs/operations/upgrade.md");
    }

    private static Finding OfAlerts(StatusReport status, string problem) =>
        new(Concern.Degraded, "receiver-unreachable", "alerts", $"from {status.AnsweredBy} the alert receiver {problem}", "Mend it, then: evenkeel alerts test");

    // How many voters may still be lost before exclusive services stop.
    private static IEnumerable<Finding> OfQuorum(StatusReport status)
    {
        var voters = status.Nodes.Count(node => node.Votes);
        var alive = status.Nodes.Count(node => node is { Votes: true, Reach: Reach.Alive, GuardConnected: true });
        var majority = voters / 2 + 1;
        if (voters == 0)
            yield break;
        if (alive < majority)
            yield return new(Concern.Down, "quorum-lost", "quorum", $"{alive} of {voters} voters are here, {majority} are needed: virtual IPs and single-active services are stopped on this side",
                "Bring back a voting node, or the private network to it");
        else if (alive == majority && alive < voters)
            yield return new(Concern.Degraded, "quorum-thin", "quorum", $"{alive} of {voters} voters are here: with the next loss virtual IPs and single-active services stop",
                "Bring back a voting node soon");
    }

    private static IEnumerable<Finding> OfVip(VipReport vip)
    {
        if (vip.Owner is null)
            yield return new(Concern.Down, "vip-down", $"vip/{vip.Name}", $"virtual IP {vip.Address} has no owner{Because(vip.Reason)}", "See evenkeel events, and the nodes below");
        else if (!vip.Held)
            yield return new(Concern.Down, "vip-down", $"vip/{vip.Name}", $"virtual IP {vip.Address} is given to {vip.Owner.Node}, which does not hold it yet", "Look again in a second");
    }

    private static IEnumerable<Finding> OfService(StatusReport status, ServiceReport service)
    {
        var subject = $"service/{service.Name}";
        var healthy = service.Instances.Count(instance => instance is { Status: InstanceStatus.Running, Health: not Health.Unhealthy });
        if (service.Wanted == 0)
            yield break;
        if (healthy == 0 || (service.Activity == Activity.SingleActive && service.Owner is null))
            yield return new(Concern.Down, "service-down", subject, $"{service.Name} is down: no healthy instance", $"evenkeel explain {service.Name}; evenkeel logs {service.Name}");
        else if (healthy < service.Wanted)
            yield return new(Concern.Degraded, "service-degraded", subject, $"{service.Name} runs {healthy} of {service.Wanted} instances", $"evenkeel explain {service.Name}");
        foreach (var finding in OfData(service, subject))
            yield return finding;
        // Only agents with two roles give scores; the active one's is no help to a takeover.
        if (service.Instances.Any(instance => instance.PromotionScore is not null) && !service.Instances.Any(instance => instance is { Active: false, Status: InstanceStatus.Running, PromotionScore: >= 0 }))
            yield return new(Concern.Degraded, "no-replica", subject, $"no standby of {service.Name} may be promoted: its agent gives none that runs a promotion score of 0 or more",
                $"evenkeel explain {service.Name}; evenkeel logs {service.Name}");
        foreach (var stuck in service.Instances.Where(instance => instance.Status == InstanceStatus.Stuck))
        {
            var hasDevice = status.Nodes.Any(node => node.Name == stuck.Node && node.HasFenceDevice);
            yield return new(Concern.Down, "instance-stuck", subject, StuckInstance.What(service.Name, stuck.Node, stuck.Detail, hasDevice), StuckInstance.Do(stuck.Node, hasDevice));
        }
        foreach (var banned in service.Instances.Where(instance => instance.Ban != Ban.None))
            yield return new(Concern.Degraded, "instance-banned", subject, banned.Ban == Ban.Everywhere
                ? $"{service.Name} would fail on every node{Because(banned.Detail)}: it is started nowhere else" : $"{service.Name} is not tried on {banned.Node} again{Because(banned.Detail)}",
                $"Mend that, then: evenkeel restart {service.Name} --node {banned.Node}; a changed file is tried at once");
        foreach (var failed in service.Instances.Where(instance => instance is { Status: InstanceStatus.Failed, Ban: Ban.None }))
            yield return new(Concern.Degraded, "instance-failed", subject, $"{service.Name} failed on {failed.Node}{Because(failed.Detail)}", $"evenkeel logs {service.Name} --node {failed.Node}");
        foreach (var pending in service.Instances.Where(instance => instance.RestartPending).GroupBy(instance => instance.Detail, instance => instance.Node, StringComparer.Ordinal))
            yield return new(Concern.Note, "restart-pending", subject, $"{service.Name} on {string.Join(", ", pending)}: {pending.Key}", $"evenkeel restart {service.Name} --pending: one instance after the other");
    }

    private static IEnumerable<Finding> OfData(ServiceReport service, string subject)
    {
        if (service is { Redundancy: Redundancy.Warm, Data: not null, Owner: not null } && OfLag(service, subject) is { } behind)
            yield return behind;
        if (service is { Owner: null, Data.Undecided: { } undecided })
        {
            yield return new(Concern.Down, "data-undecided", subject, undecided.What, undecided.Do);
            yield break;
        }
        if (service.Data is not { Synchronous: true } data)
            yield break;
        if (service.Owner is null && data.Any is { } copies)
            yield return new(Concern.Down, "copies-missing", subject, $"each acknowledged write of {service.Name} is on {data.InSync[0]} and {copies} of {string.Join(", ", data.InSync.Skip(1))}: too few of them are here to know which has every one",
                $"Bring back {data.InSync[0]}{(copies > 0 ? $", or all but {copies - 1} of the others" : "")}");
        else if (service.Owner is null && data.InSync.Count > 0)
            yield return new(Concern.Down, "copies-missing", subject, $"only {string.Join(" and ", data.InSync)} {(data.InSync.Count == 1 ? "has" : "have")} every acknowledged write of {service.Name}: no other copy becomes the primary by itself",
                $"Bring back {string.Join(" or ", data.InSync)}");
        else if (service.Owner is null && data.Reason.Length > 0)
            yield return new(Concern.Down, "copies-unknown", subject, $"the store was restored: nobody knows which copy of {service.Name} has every acknowledged write", "Bring back every node that had a copy; then the best one is chosen");
        else if (service.Owner is not null && (data.InSync.Count == 1 || data.Any == 0))
            yield return new(Concern.Degraded, "writes-on-one-node", subject, $"every acknowledged write of {service.Name} is on {data.InSync[0]} alone{Because(data.Reason)}: {(data.Strict ? "writes wait for a standby" : "with that node the latest writes would be lost")}",
                $"Bring back a standby: evenkeel explain {service.Name}");
    }

    // What a takeover would lose now is what the best replica lacks.
    private static Finding? OfLag(ServiceReport service, string subject)
    {
        var best = service.Instances.Where(one => one is { Active: false, LagTime: not null }).MinBy(one => one.LagBytes);
        if (best is null)
            return new(Concern.Degraded, "no-replica", subject, $"no replica of {service.Name} follows: with its node the latest writes would be lost", $"Bring back a standby: evenkeel explain {service.Name}");
        if (service.Rpo is not { } rpo || best.LagTime <= rpo)
            return null;
        var transactions = best.LagTransactions is { } number ? $", {number.ToString(CultureInfo.InvariantCulture)} transactions" : "";
        return new(Concern.Degraded, "rpo-exceeded", subject, $"a takeover of {service.Name} would lose the last {Words(best.LagTime!.Value)}{transactions}: more than its RPO of {Words(rpo)}",
            $"Look at the network to {best.Node} and at its disk: evenkeel explain {service.Name}");
    }

    private static IEnumerable<Finding> OfNode(StatusReport status, NodeReport node)
    {
        var subject = $"node/{node.Name}";
        if (OfFence(node, subject) is { } fenced)
        {
            yield return fenced;
            if (node.Fence is { Phase: FencePhase.Confirmed }) yield break;
        }
        foreach (var problem in node.FenceProblems)
            yield return new(Concern.Degraded, "fence-device-fails", subject, $"{node.Name} could not be cut off from {status.AnsweredBy}: {problem}", $"Check the fence device and the way to it: evenkeel fence {node.Name} needs it");
        if (node.Restarting)
        {
            yield return new(Concern.Note, "node-restarting", subject, $"the agent of {node.Name} restarts; what it runs goes on", "Look again in some seconds");
            yield break;
        }
        if (node.Reach != Reach.Alive)
        {
            var lost = node.Silence is { } time ? $"lost, silent for {Words(time)}" : $"lost: {status.AnsweredBy} hears it, but it does not hear {status.AnsweredBy}";
            yield return new(Concern.Degraded, "node-lost", subject, $"node {node.Name} is {(node.Reach == Reach.Lost ? lost : "not yet heard")}",
                "Check its power, its agent (systemctl status evenkeel) and its private network");
            yield break;
        }
        if (!node.GuardConnected)
            yield return new(Concern.Degraded, "guard-gone", subject, $"the guard of {node.Name} does not run: it can own nothing and does not vote", $"Restart the agent on {node.Name}");
        if (!node.PublicUp)
            yield return new(Concern.Degraded, "public-interface-down", subject, $"clients cannot reach {node.Name}: its public interface is down, or the hook of a virtual IP fails there time after time",
                "Check its cable, switch and address; for hooks see the agent's log there");
        if (node.ShutDoors.Count > 0)
        {
            var here = node.ShutDoors.Where(door => status.Vips.Any(vip => vip.Name == door.Vip && vip.Owner?.Node == node.Name)).Select(door => door.Vip).ToList();
            yield return new(here.Count > 0 ? Concern.Down : Concern.Degraded, "door-shut", subject,
                $"on {node.Name} the balancer {string.Join("; ", node.ShutDoors.Select(door => door.What))}{(here.Count > 0 ? $": clients of virtual IP {string.Join(", ", here)} meet something else there" : "")}",
                $"End the other program on {node.Name}, let it listen at the node's own address alone, or publish another port; it is tried again each second");
        }
        if (!node.StoreReachable && status.Store.HasQuorum)
            yield return new(Concern.Degraded, "store-unreachable", subject, $"{node.Name} does not reach the coordination store", "Check its private network, and etcd on it");
        if (node.ClockAhead is { } ahead && ahead.Duration() >= ClocksApart)
            yield return new(Concern.Degraded, "clock-apart", subject,
                $"the clock of {node.Name} is {Words(ahead.Duration())} {(ahead > TimeSpan.Zero ? "ahead of" : "behind")} that of {status.AnsweredBy}: leases do not mind; certificates, logs and backups do",
                $"Set both by NTP: chronyc tracking, timedatectl on {node.Name} and {status.AnsweredBy}");
        if (node.Mode == NodeMode.Quarantined)
            yield return new(Concern.Degraded, "node-quarantined", subject, $"{node.Name} is quarantined{Because(node.ModeReason)}", $"Find out why it failed again and again, then: evenkeel resume {node.Name}");
        else if (node.Mode != NodeMode.Active)
            yield return new(Concern.Note, "node-out", subject, $"{node.Name} is {(node.Mode == NodeMode.Draining ? "drained" : "in maintenance")}{Because(node.ModeReason)}", $"When done: evenkeel resume {node.Name}");
        foreach (var concern in node.Concerns)
            yield return OfConcern(concern, subject);
        foreach (var limit in node.Limits)
            yield return new(Concern.Note, "node-limited", subject, $"on {node.Name}: {limit}", "Only the last line of defence is thinner; see docs/operations");
    }

    // The authority and etcd's members are everybody's: each node says the same of them, which is said once.
    private static Finding OfConcern(NodeConcern concern, string subject) => concern.Kind switch
    {
        NodeConcern.CertificateEnds => new(Concern.Degraded, "certificate-ends", subject, concern.What, "Start the agent of the node with the authority's key (evenkeel ca status); if that key is lost: evenkeel ca rotate --lost-key"),
        NodeConcern.AuthorityEnds => new(Concern.Note, "authority-ends", "authority", concern.What, "evenkeel ca rotate, when it suits you"),
        NodeConcern.AuthorityEndsSoon => new(Concern.Degraded, "authority-ends-soon", "authority", concern.What, "evenkeel ca rotate: once it has ended, nodes do not accept each other"),
        NodeConcern.PrivateNetworkOpen => new(Concern.Degraded, "private-network-open", subject, $"on {subject[5..]}: {concern.What}", "Is nftables installed there, and may the agent use it? See docs/operations/daemon.md"),
        NodeConcern.PrivateNetworkShared => new(Concern.Note, "private-network-shared", subject, $"on {subject[5..]}: {concern.What}", "Separate interfaces keep clients out; see docs/operations/daemon.md"),
        NodeConcern.ApiNotServed => new(Concern.Degraded, "api-not-served", subject, $"on {subject[5..]}: {concern.What}", "Mend the address, or take it out of the file's 'api'; the agent tries again by itself"),
        NodeConcern.EtcdDown => new(Concern.Degraded, "etcd-down", subject, concern.What, Mend(concern.What)),
        NodeConcern.SnapshotFails => new(Concern.Degraded, "snapshot-fails", subject, concern.What, "Is there room in its state directory, and does its etcd answer? Without snapshots 'evenkeel recover --from-snapshot' loses more"),
        NodeConcern.EtcdSpace => new(Concern.Degraded, "etcd-space", subject, concern.What, Mend(concern.What)),
        NodeConcern.EtcdDiskFull => new(Concern.Degraded, "etcd-disk-full", subject, concern.What, $"Free space on that disk of {subject[5..]}, or make it larger (df, du); old snapshots are below the state directory, in snapshots/"),
        NodeConcern.EtcdDiskSlow => new(Concern.Note, "etcd-disk-slow", subject, concern.What, $"What else writes to that disk of {subject[5..]} (iostat -x, iotop)? Give etcd one with a protected write cache (an SSD with power-loss protection); evenkeel preflight measures it"),
        NodeConcern.EtcdMembers => new(Concern.Degraded, "etcd-members", "store", concern.What, Mend(concern.What)),
        NodeConcern.AgentPartFailed => new(Concern.Degraded, "agent-part-failed", subject, $"on {subject[5..]}: {concern.What}", $"Restart that agent (systemctl restart evenkeel on {subject[5..]}: what it runs goes on), and report it with its log"),
        // Of a later version.
        _ => new(Concern.Note, "node-limited", subject, $"on {subject[5..]}: {concern.What}", "See evenkeel status on that node"),
    };

    private static Finding? OfFence(NodeReport node, string subject) => node.Fence switch
    {
        null => null,
        { Phase: FencePhase.Confirmed } fence when node.Reach == Reach.Alive && node.Ready =>
            new(Concern.Degraded, "fenced-node-answers", subject, $"{node.Name} answers, though it was confirmed off ({fence.Detail})", "It owns nothing until its agent and guard have started anew; check which machine its fence device switches"),
        { Phase: FencePhase.Confirmed } fence => new(Concern.Degraded, "node-fenced", subject, $"{node.Name} is cut off: {fence.Detail} ({fence.Reason})", $"Find out why, then switch it on: evenkeel fence {node.Name} --on"),
        { Detail.Length: > 0 } fence => new(Concern.Down, "fencing-fails", subject, $"{node.Name} cannot be cut off ({fence.Reason}): {fence.Detail}: what it may still run starts nowhere else",
            $"Mend the device, or switch {node.Name} off by hand, make sure, then: evenkeel fence {node.Name} --confirm"),
        var fence => new(Concern.Degraded, "node-being-fenced", subject, $"{node.Name} is being cut off: {fence.Reason}", "Look again in some seconds"),
    };

    private static string Words(TimeSpan time) => time switch
    {
        { TotalMinutes: < 2 } => $"{time.TotalSeconds:0} s",
        { TotalHours: < 2 } => $"{time.TotalMinutes:0} min",
        { TotalDays: < 2 } => $"{time.TotalHours:0} h",
        _ => $"{time.TotalDays:0} days",
    };

    private static string Because(string reason) => reason.Length == 0 ? "" : $" ({reason})";
}
