using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>A TCP service on every address of a node: the kernel completes connections, nothing more is needed.</summary>
internal sealed class Listener : IDisposable
{
    public const int Port = 7000;
    private readonly Socket socket;

    private Listener(Socket socket) => this.socket = socket;

    public static Listener On(NetworkLab lab, string node) => new(lab.On(node, () =>
    {
        var socket = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp) { DualMode = true };
        socket.Bind(new IPEndPoint(IPAddress.IPv6Any, Port));
        socket.Listen(4096);
        return socket;
    }));

    public void Dispose() => socket.Dispose();
}

/// <summary>A client in a namespace that asks again and again whether an address answers.</summary>
internal static class Client
{
    /// <summary>One TCP connect; false when nothing answered in time.</summary>
    public static bool Connects(NetworkLab lab, string node, string address, int milliseconds = 6000, string? from = null) =>
        lab.On(node, () => ConnectOnce(IPAddress.Parse(address), milliseconds, from is null ? null : IPAddress.Parse(from)));

    /// <summary>Connects every few milliseconds until nothing has answered for <paramref name="silence"/>.</summary>
    /// <returns>The Stopwatch timestamp at which the last answered attempt began; 0 when none was.</returns>
    public static long LastAnswer(NetworkLab lab, string node, string address, TimeSpan silence, Action started) => lab.On(node, () =>
    {
        var (last, target) = (0L, IPAddress.Parse(address));
        var since = Stopwatch.GetTimestamp();
        started();
        while (Stopwatch.GetElapsedTime(since) < silence)
        {
            var begun = Stopwatch.GetTimestamp();
            if (!ConnectOnce(target, 20)) continue;
            (last, since) = (begun, Stopwatch.GetTimestamp());
            // Nobody accepts what the kernel completed: without a pause the listener's queue is full within the second.
            Thread.Sleep(1);
        }
        return last;
    });

    private static bool ConnectOnce(IPAddress address, int milliseconds, IPAddress? from = null)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false, LingerState = new LingerOption(true, 0) };
        if (from is not null) socket.Bind(new IPEndPoint(from, 0));
        try
        {
            socket.Connect(new IPEndPoint(address, Listener.Port));
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.WouldBlock or SocketError.InProgress)
        {
            return socket.Poll(milliseconds * 1000, SelectMode.SelectWrite) && (int)socket.GetSocketOption(SocketOptionLevel.Socket, SocketOptionName.Error)! == 0;
        }
        catch (SocketException)
        {
            return false;
        }
        return true;
    }
}
