using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using Evenkeel.Agent.Local;

namespace Evenkeel.Agent.Preflight;

/// <summary>
/// Who on a segment says that an address is theirs: ARP probes, whose sender address is 0.0.0.0 so that nobody learns anything
/// from them (RFC 5227 §2.1.1), or neighbour solicitations (RFC 4861 §7.2).
/// </summary>
internal static class AddressProbe
{
    // RFC 5227 probes three times, one to two seconds apart; a LAN answers within a millisecond, and a preflight has many to ask.
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(150);
    private static readonly TimeSpan Listening = TimeSpan.FromMilliseconds(450);

    /// <returns>Hardware addresses as <c>aa:bb:cc:dd:ee:ff</c>; empty when nobody answers.</returns>
    /// <exception cref="InvalidOperationException">Packets cannot be sent on that interface; says why.</exception>
    public static async Task<HashSet<string>> AskAsync(IPAddress address, string interfaceName, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Listening);
        if (address.AddressFamily == AddressFamily.InterNetworkV6)
        {
            return [.. (await NeighbourProbe.AskAsync(address, interfaceName, Period, limit.Token).ConfigureAwait(false)).Except(OwnHardware())];
        }

        using var observer = new ArpObserver(address, interfaceName, probes: true);
        await Task.Run(() => observer.Run(Period, limit.Token), CancellationToken.None).ConfigureAwait(false);
        cancellation.ThrowIfCancellationRequested();
        return [.. observer.Take().Select(claim => claim.Claimant).Except(OwnHardware())];
    }

    // Where two of our interfaces are on one segment, we hear ourselves.
    private static IEnumerable<string> OwnHardware() => NetworkInterface.GetAllNetworkInterfaces()
        .Select(own => string.Join(':', own.GetPhysicalAddress().GetAddressBytes().Select(part => part.ToString("x2", System.Globalization.CultureInfo.InvariantCulture))));
}
