using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Status;

/// <summary>Why everything is where it is, what is wrong, and what to do: from what one agent knows.</summary>
public sealed class Explanation(Knowledge known, Controller? controller)
{
    private readonly List<Finding> findings = [];

    public static ClusterReport Of(AgentLoop loop) => new Explanation(loop.Known, loop.Controller).Report();

    private ClusterReport Report()
    {
        if (known.Spec is not { } spec)
        {
            Found(Severity.Broken, "cluster", known.HasState ? "there is no spec yet" : "the store has not been read yet",
                known.HasState ? "apply a cluster.yaml" : "check that the coordination store runs and can be reached");
            return new ClusterReport(controller, false, [], [], [], findings);
        }
        var nodes = spec.Nodes.Values.OrderBy(node => node.Name).Select(Look).ToList();
        var quorum = spec.Nodes.Values.Count(node => node.Votes && known.IsAlive(node.Name)) * 2 > spec.Nodes.Values.Count(node => node.Votes);
        Cluster(quorum);
        var resources = Exclusive(spec).Select(resource => Look(spec, resource)).ToList();
        var instances = spec.Services.Values.OrderBy(service => service.Name, StringComparer.Ordinal).SelectMany(service => Instances(spec, service)).ToList();
        return new ClusterReport(controller, quorum, nodes, resources, instances, findings);
    }

    private static IEnumerable<ResourceId> Exclusive(ClusterSpec spec) =>
        spec.Vips.Keys.Order(StringComparer.Ordinal).Select(ResourceId.Vip)
            .Concat(spec.Services.Values.Where(service => service.Activity == Activity.SingleActive).Select(service => ResourceId.Service(service.Name)).Order());

    private void Cluster(bool quorum)
    {
        if (!quorum) Found(Severity.Broken, "cluster", "no majority of voters is heard: nothing exclusive may run", "bring back nodes, or mend the private network");
        else if (controller is null) Found(Severity.Weakened, "cluster", "no controller is heard: running services go on, nothing new is decided", "it should pass within a second; else check the store");
        if (!known.StoreReachable) Found(Severity.Weakened, "cluster", $"{known.Self} cannot reach the coordination store", "check the store's members and their disks");
    }

    private NodeStanding Look(NodeSpec node)
    {
        var alive = known.IsAlive(node.Name);
        var mode = known.ModeOf(node.Name);
        var facts = alive ? known.FactsOf(node.Name) : null;
        var why = !alive ? known.Peers.Find(node.Name)?.Why ?? "never heard"
            : facts!.Guard == default ? "its guard is not connected"
            : !facts.Ready ? "its guard does not vote yet, or its listeners are not bound" : "";
        var name = node.Name.Value;
        if (!alive) Found(Severity.Weakened, name, $"lost: {why}", $"check that {name} runs and its private network works");
        else if (why.Length > 0) Found(Severity.Weakened, name, why, "it should pass within seconds; else see the agent's log");
        if (alive && !facts!.PublicUp) Found(Severity.Weakened, name, "its public interface is down", "check cable, switch and address");
        if (alive && !facts!.StoreReachable && node.Name != known.Self) Found(Severity.Weakened, name, "it cannot reach the coordination store", "check its private network");
        if (alive && ClockApart(facts!) is { } apart)
            Found(Severity.Weakened, name, $"its clock is {apart} {known.Self}'s: leases do not mind, certificates, logs and backups do", $"set it by NTP (`chronyc tracking`, `timedatectl` on {name} and {known.Self})");
        if (mode is NodeMode.Draining or NodeMode.Maintenance) Found(Severity.Note, name, $"in {mode}", $"`resume {name}` when done");
        if (mode is NodeMode.Quarantined) Found(Severity.Weakened, name, "quarantined: it came and went too often", $"find out why; `resume {name}` ends it at once");
        return new NodeStanding(node.Name, alive, mode, facts?.Ready ?? false, why, facts);
    }

    // Both readings may be a second old.
    private string? ClockApart(NodeFacts facts)
    {
        if (facts.WallClock == 0 || known.Own.WallClock == 0) return null;
        var ahead = TimeSpan.FromSeconds(facts.WallClock - known.Own.WallClock);
        if (ahead.Duration() < TimeSpan.FromSeconds(5)) return null;
        var words = ahead.Duration() < TimeSpan.FromMinutes(2) ? $"{ahead.Duration().TotalSeconds:0} s"
            : ahead.Duration() < TimeSpan.FromHours(2) ? $"{ahead.Duration().TotalMinutes:0} min" : $"{ahead.Duration().TotalHours:0} h";
        return $"{words} {(ahead > TimeSpan.Zero ? "ahead of" : "behind")}";
    }

    private ResourceStanding Look(ClusterSpec spec, ResourceId resource)
    {
        var record = known.State.Ownerships.TryGetValue(resource, out var found) ? found.Value : null;
        var owner = record?.Current;
        var held = owner is not null && known.IsAlive(owner.Node) && (known.FactsOf(owner.Node)?.Held.Contains(new(resource, owner.Epoch)) ?? false);
        List<CandidateStanding> candidates = [.. spec.Nodes.Values.OrderBy(node => node.Name).Select(node => Candidate(node, resource))];
        if (owner is null)
            Found(Severity.Broken, resource.Value, "nobody owns it",
                candidates.Any(one => one.Fit) ? "a controller should decide within a second" : "no node can have it: " + string.Join("; ", candidates.Select(one => $"{one.Node}: {one.Why}")));
        else if (!held) Found(Severity.Broken, resource.Value, $"{owner.Node} owns it but does not hold its lease", "it should pass within a second; else check the guards' private network");
        return new ResourceStanding(resource, owner, held, record?.Reason ?? "not decided yet", candidates);
    }

    private CandidateStanding Candidate(NodeSpec node, ResourceId resource)
    {
        var why = node.Role == NodeRole.Witness ? "a witness"
            : resource.Kind == "vip" && node.Public is null ? "no public address"
            : !known.IsAlive(node.Name) ? "lost"
            : known.ModeOf(node.Name) is (NodeMode.Draining or NodeMode.Maintenance) and var mode ? mode.ToString().ToLowerInvariant()
            : known.FactsOf(node.Name) is not { Ready: true } facts ? "not ready"
            : resource.Kind == "vip" && !facts.PublicUp ? "public interface down" : "";
        return new CandidateStanding(node.Name, why.Length == 0, why);
    }

    private IEnumerable<InstanceStanding> Instances(ClusterSpec spec, ServiceSpec service)
    {
        var record = known.State.Assignments.TryGetValue(service.Name, out var found) ? found.Value : null;
        var owner = known.State.Ownerships.TryGetValue(ResourceId.Service(service.Name), out var owned) ? owned.Value.Current?.Node : null;
        var serving = 0;
        foreach (var node in spec.Nodes.Keys.Order())
        {
            var wanted = node == owner || (record?.Nodes.Contains(node) ?? false);
            var facts = known.LiveInstance(node, service.Name);
            if (!wanted && facts is null) continue;
            var serves = facts is { Status: InstanceStatus.Running } && (service.Health is null || facts.Health == Health.Healthy);
            if (serves) serving++;
            var why = !known.IsAlive(node) ? "its node is lost" : facts is null ? "not started yet" : serves ? "" : $"{facts.Status}, {facts.Health}: {facts.Detail}";
            if (wanted && !serves && known.IsAlive(node)) Found(Severity.Weakened, service.Name, $"on {node}: {why}", $"`logs {service.Name}` on {node} says more");
            yield return new InstanceStanding(service.Name, node, wanted, facts, why);
        }
        if (serving == 0) Found(Severity.Broken, service.Name, "no instance serves", "see the lines above");
        else if (service.Activity == Activity.Spread && serving < service.Instances) Found(Severity.Weakened, service.Name, $"{serving} of {service.Instances} instances serve", "");
    }

    private void Found(Severity severity, string subject, string what, string mend) => findings.Add(new Finding(severity, subject, what, mend));
}
