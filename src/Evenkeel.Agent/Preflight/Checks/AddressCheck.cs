using System.Net;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>This server has the addresses that the file gives the node, on interfaces that are up, with the networks' prefixes.</summary>
internal sealed class AddressCheck(PreflightSubject subject, LinkTable links) : PreflightCheck("addresses", subject)
{
    public override Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation) =>
        Task.FromResult<IReadOnlyList<PreflightFinding>>([.. Subject.Self.Private.SelectMany(own => Of(own, "private", Subject.Spec.Networks.Private))
            .Concat(Subject.Self.AllPublic.SelectMany(own => Of(own, "public", Subject.Spec.Networks.AllPublic)))]);

    private IEnumerable<PreflightFinding> Of(IPAddress address, string what, IReadOnlyList<IPNetwork> networks)
    {
        if (links.With(address) is not { } link)
        {
            yield return Failed($"no interface here has {Subject.Node}'s {what} address {address}",
                $"Configure it (ip address show), mend nodes.{Subject.Node}.{what} in the file, or is this another node (--node)?");
            yield break;
        }

        if (!link.Up)
        {
            yield return Failed($"{link.Name}, which has the {what} address {address}, has no carrier or is down", $"Cable, switch port; ip link set {link.Name} up");
        }

        var network = networks.FirstOrDefault(one => one.Contains(address));
        if (network != default && !link.Networks.Contains(network))
        {
            yield return Warning($"{address} on {link.Name} is not configured as part of {network}, as the file has it",
                $"Give it the prefix length {network.PrefixLength}: others of the network may not be reached directly");
            yield break;
        }

        yield return Passed($"{what} address {address} is on {link.Name}");
    }
}
