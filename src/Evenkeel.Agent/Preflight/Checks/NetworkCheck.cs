using System.Net;
using System.Net.Sockets;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>Public and private connections are really apart: other interfaces, on other carriers, on other segments.</summary>
internal sealed class NetworkCheck(PreflightSubject subject, LinkTable links) : PreflightCheck("networks-apart", subject)
{
    private const string Apart = "Give the private connection an interface and a switch (or VLAN) of its own";

    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        var inner = Subject.Self.Private.Select(own => links.With(own)).OfType<Link>().ToList();
        var outer = Subject.Self.AllPublic.Select(own => links.With(own)).OfType<Link>().DistinctBy(link => link.Name).ToList();
        List<PreflightFinding> found = [.. outer.SelectMany(open => inner.DistinctBy(link => link.Name).SelectMany(kept => Pair(open, kept)))];
        foreach (var shared in inner.GroupBy(link => link.Name).Where(group => group.Count() > 1))
        {
            found.Add(Note($"{shared.Count()} private links are on one interface, {shared.Key}: it fails as one", "Give each link an interface of its own"));
        }

        foreach (var small in inner.Where(link => link.Mtu < 1280).DistinctBy(link => link.Name))
        {
            found.Add(Warning($"{small.Name} has an MTU of {small.Mtu} bytes", "1500 or more for the private connection"));
        }

        if (found.Count == 0 && inner.Count > 0 && outer.Count > 0)
        {
            found.AddRange(await SegmentsAsync(outer[0], inner[0], cancellation).ConfigureAwait(false));
        }

        if (found.Count == 0 && inner.Count > 0)
        {
            found.Add(Passed(outer.Count == 0 ? "the node has no public address" : $"public on {string.Join(", ", outer.Select(link => link.Name))}, private on {string.Join(", ", inner.Select(link => link.Name).Distinct())}"));
        }

        return found;
    }

    private IEnumerable<PreflightFinding> Pair(Link open, Link kept)
    {
        if (open.Name == kept.Name)
        {
            yield return Failed($"{open.Name} carries both the public and the private connection: clients' traffic delays heartbeats, and clients can reach the private ports", Apart);
        }
        else if (links.Root(open) is { } root && root.Name == links.Root(kept).Name)
        {
            yield return Warning($"{open.Name} (public) and {kept.Name} (private) both run over {root.Name}: one failure takes both", Apart);
        }
    }

    // A Linux host answers for each of its addresses on each of its interfaces, so an answer alone proves nothing: it is the
    // hardware address that tells on which segment it is.
    private async Task<IEnumerable<PreflightFinding>> SegmentsAsync(Link open, Link kept, CancellationToken cancellation)
    {
        foreach (var peer in Subject.Others.Where(peer => peer.Private[0].AddressFamily == AddressFamily.InterNetwork))
        {
            var address = peer.Private[0];
            var inside = await AddressProbe.AskAsync(address, kept.Name, cancellation).ConfigureAwait(false);
            if (inside.Count == 0)
            {
                continue;
            }

            var outside = await AddressProbe.AskAsync(address, open.Name, cancellation).ConfigureAwait(false);
            return inside.Overlaps(outside)
                ? [Failed($"{peer.Name}'s private interface answers on {open.Name} (public) too: both networks are one segment", "Separate them on the switch: another VLAN, or another switch")]
                : [];
        }

        return [Note($"{open.Name} and {kept.Name} are different interfaces; whether they are on one segment shows once another node is up", "Run it again then")];
    }
}
