using System.Globalization;
using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;

namespace Evenkeel.Agent.Preflight;

/// <summary>Asks a segment for an IPv6 address (neighbour solicitation, RFC 4861 §4.3) and hears the advertisements (§4.4). Needs CAP_NET_RAW.</summary>
internal static class NeighbourProbe
{
    private const byte Solicitation = 135, Advertisement = 136, SourceLink = 1, TargetLink = 2;

    public static async Task<HashSet<string>> AskAsync(IPAddress address, string interfaceName, TimeSpan period, CancellationToken limit)
    {
        var nic = NetworkInterface.GetAllNetworkInterfaces().FirstOrDefault(one => one.Name == interfaceName) ?? throw new InvalidOperationException($"there is no interface {interfaceName}");
        var index = nic.GetIPProperties().GetIPv6Properties().Index;
        using var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Raw, ProtocolType.IcmpV6);
        socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastInterface, index);
        // Others are dropped: they may have come through a router (§7.1.1).
        socket.SetSocketOption(SocketOptionLevel.IPv6, SocketOptionName.MulticastTimeToLive, 255);
        socket.Bind(new IPEndPoint(IPAddress.IPv6Any, 0));
        var found = new HashSet<string>(StringComparer.Ordinal);
        var hearing = HearAsync(socket, address, found, limit);
        var question = Question(address, nic.GetPhysicalAddress().GetAddressBytes());
        using var timer = new PeriodicTimer(period);
        try
        {
            do
            {
                await socket.SendToAsync(question, SocketFlags.None, new IPEndPoint(Group(address, index), 0), limit).ConfigureAwait(false);
            }
            while (await timer.WaitForNextTickAsync(limit).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // Long enough.
        }

        await hearing.ConfigureAwait(false);
        return found;
    }

    private static async Task HearAsync(Socket socket, IPAddress address, HashSet<string> found, CancellationToken limit)
    {
        var buffer = new byte[1500];
        try
        {
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, SocketFlags.None, new IPEndPoint(IPAddress.IPv6Any, 0), limit).ConfigureAwait(false);
                if (Claimant(buffer.AsSpan(0, received.ReceivedBytes), address) is { } claimant)
                {
                    found.Add(claimant);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // Long enough.
        }
    }

    /// <summary>Whose advertisement of the address it is; null for any other message.</summary>
    internal static string? Claimant(ReadOnlySpan<byte> message, IPAddress address)
    {
        if (message.Length < 24 || message[0] != Advertisement || !message.Slice(8, 16).SequenceEqual(address.GetAddressBytes()))
        {
            return null;
        }

        // Options: type, length in units of 8 bytes, value.
        for (var options = message[24..]; options.Length >= 8 && options[1] > 0 && options[1] * 8 <= options.Length; options = options[(options[1] * 8)..])
        {
            if (options[0] == TargetLink)
            {
                return string.Join(':', options.Slice(2, 6).ToArray().Select(part => part.ToString("x2", CultureInfo.InvariantCulture)));
            }
        }

        return "an unnamed one";
    }

    // The kernel fills in the checksum on a raw ICMPv6 socket.
    private static byte[] Question(IPAddress address, byte[] hardware)
    {
        var message = new byte[32];
        message[0] = Solicitation;
        address.GetAddressBytes().CopyTo(message, 8);
        (message[24], message[25]) = (SourceLink, 1);
        hardware.AsSpan(0, Math.Min(6, hardware.Length)).CopyTo(message.AsSpan(26));
        return message;
    }

    // ff02::1:ffXX:XXXX with the address's last three bytes (RFC 4291 §2.7.1).
    private static IPAddress Group(IPAddress address, int scope)
    {
        byte[] group = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, .. address.GetAddressBytes().AsSpan(13)];
        return new IPAddress(group, scope);
    }
}
