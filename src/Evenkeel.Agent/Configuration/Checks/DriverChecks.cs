using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration.Checks;

/// <summary>What a driver can promise of a service, and what it cannot without fencing.</summary>
internal static class DriverChecks
{
    /// <summary>Stock agents whose resource is something in the kernel, or elsewhere: no process that a lease's end could kill.</summary>
    private static readonly string[] s_noProcess =
    [
        "IPaddr", "IPaddr2", "IPv6addr", "IPsrcaddr", "Filesystem", "LVM", "LVM-activate", "mdraid", "Raid1", "Route", "exportfs", "iSCSITarget",
        "iSCSILogicalUnit", "iface-bridge", "iface-macvlan", "iface-vlan", "portblock", "ZFS", "crypt", "symlink", "VirtualDomain", "docker", "podman", "lxc",
    ];

    public static void All(ServiceSpec service, ClusterSpec spec, string at, Findings findings)
    {
        var fenced = spec.Nodes.Values.Where(node => node.Role == NodeRole.Full).All(node => node.Fence is not null);
        switch (service.Driver)
        {
            case SystemdDriverSpec when service.Redundancy == Redundancy.Warm:
                findings.Error(at + ".systemd", "a warm standby must be promoted, but a systemd unit has no roles", "Write 'redundancy: cold', or use 'ocf' or 'process'");
                break;
            case SystemdDriverSpec when service.Activity == Activity.SingleActive && !fenced:
                findings.Warning(at + ".systemd", "systemd runs the unit, not the guard: when a node is cut off, the unit does not end with the node's lease",
                    "Give every node that may run it a 'fence'");
                break;
            case OcfDriverSpec ocf when service.Activity == Activity.SingleActive && !fenced && s_noProcess.Contains(ocf.Agent.Split(':')[^1]):
                findings.Warning(at + ".ocf", $"what {ocf.Agent} holds is no process: when a node is cut off, it stays there when the node's lease ends",
                    "Give every node that may run it a 'fence'; for an address write a 'vip'");
                break;
            case OcfDriverSpec or SystemdDriverSpec when service.Health is not null:
                findings.Warning(at + ".health", "the health of this service is what its own monitor says; these probes are not run", "Remove 'health'");
                break;
        }
    }
}
