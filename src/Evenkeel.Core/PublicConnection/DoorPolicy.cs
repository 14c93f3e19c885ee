using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Core.PublicConnection;

/// <summary>
/// How this host puts a VIP into effect: as an address of <see cref="Interface"/> (privileged), or, where that is null, as
/// listeners that the agent opens under the lease (loopback clusters: `demo`, `up`).
/// </summary>
public sealed record DoorPolicy(string? Interface)
{
    /// <summary>The port really listened on for each declared one, where they differ (`up` maps ports under 1024 to +8000).</summary>
    public IReadOnlyDictionary<int, int> Ports { get; init; } = new Dictionary<int, int>();

    public int Port(int declared) => Ports.GetValueOrDefault(declared, declared);

    public Enforcement For(VipSpec vip, ClusterSpec spec) => Interface is null
        ? new ListenerEnforcement(vip.Address.ToString(), [.. ListenPorts(vip, spec)])
        : new VipEnforcement(vip.Address.ToString(), vip.PrefixLength, Interface);

    private IEnumerable<int> ListenPorts(VipSpec vip, ClusterSpec spec) =>
        spec.Services.Values.SelectMany(service => service.Publish).Where(door => door.Vip == vip.Name)
            .SelectMany(door => door.Ports).Select(Port).Distinct().Order();
}
