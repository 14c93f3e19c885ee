using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Configuration;

/// <summary>Whose resource does not end with its lease: nothing that the guard could kill runs it.</summary>
internal static class OutlivesLease
{
    /// <summary>Stock agents whose resource is something in the kernel, or elsewhere.</summary>
    private static readonly string[] s_noProcess =
    [
        "IPaddr", "IPaddr2", "IPv6addr", "IPsrcaddr", "Filesystem", "LVM", "LVM-activate", "mdraid", "Raid1", "Route", "exportfs", "iSCSITarget",
        "iSCSILogicalUnit", "iface-bridge", "iface-macvlan", "iface-vlan", "portblock", "ZFS", "crypt", "symlink", "VirtualDomain", "docker", "podman", "lxc",
    ];

    public static bool Of(DriverSpec driver) =>
        driver is SystemdDriverSpec || (driver is OcfDriverSpec ocf && s_noProcess.Contains(ocf.Agent.Split(':')[^1]));
}
