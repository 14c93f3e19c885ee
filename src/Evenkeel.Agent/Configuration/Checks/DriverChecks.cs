using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>What a driver can promise of a service, and what it cannot without fencing.</summary>
internal static class DriverChecks
{
    public static void All(ServiceSpec service, ClusterSpec spec, string at, Findings findings)
    {
        Fencing(service, spec, at, findings);
        switch (service.Driver)
        {
            case SystemdDriverSpec when service.Redundancy == Redundancy.Warm:
                findings.Error(at + ".systemd", "a warm standby must be promoted, but a systemd unit has no roles", "Write 'redundancy: cold', or use 'ocf' or 'process'");
                break;
            case OcfDriverSpec or SystemdDriverSpec when service.Health is not null:
                findings.Warning(at + ".health", "the health of this service is what its own monitor says; these probes are not run", "Remove 'health'");
                break;
        }
    }

    private static void Fencing(ServiceSpec service, ClusterSpec spec, string at, Findings findings)
    {
        if (service.Activity == Activity.Spread)
        {
            if (service.Requires == Requirement.Fencing)
                findings.Error(at + ".requires", "all instances of a spread service act at once: there is no owner to cut off", "Remove 'requires', or write 'activity: single'");
            return;
        }
        var may = spec.Nodes.Values.Where(node => node.Role == NodeRole.Full).ToList();
        var unfenced = may.Where(node => node.Fence is null).Select(node => node.Name).Order().ToList();
        if (may.Count < 2)
            return;
        if (service.Requires == Requirement.Fencing && unfenced.Count > 0)
            findings.Error(at, $"what {service.Name} runs does not end with its node's lease, and {string.Join(", ", unfenced)} cannot be cut off: after a loss it could run twice, or nowhere",
                "Give every node a 'fence'; or write 'requires: quorum' if it may run twice for a while");
        else if (service.Requires == Requirement.Quorum && OutlivesLease.Of(service.Driver))
            findings.Warning(at + ".requires", $"what {service.Name} runs does not end with its node's lease: while a node is cut off, it may run twice", "Give every node a 'fence' and remove 'requires'");
    }
}
