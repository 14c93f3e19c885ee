using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;

namespace Evenkeel.PublicConnection.Balancer.Http;

/// <summary>
/// Lets a socket's continuations run on the thread that waits for it (epoll) instead of handing each to the thread pool: two changes
/// of thread less a request, a quarter of what it costs. Only for sockets behind which nothing blocks. See docs/decisions/inline-sockets.md.
/// </summary>
public static class InlineSockets
{
    private const string ThreadCount = "DOTNET_SYSTEM_NET_SOCKETS_THREAD_COUNT";
    // .NET decides this for a whole process by an environment variable; for one socket it has a property that is not public.
    private static volatile bool available = OperatingSystem.IsLinux();

    /// <summary>
    /// To be called before the process uses sockets: as many threads shall wait for sockets as there are processors. Later it changes nothing.
    /// </summary>
    public static void Prepare()
    {
        if (!available || Environment.GetEnvironmentVariable(ThreadCount) is not null) return;
        Environment.SetEnvironmentVariable(ThreadCount, Environment.ProcessorCount.ToString(System.Globalization.CultureInfo.InvariantCulture));
        try
        {
            // The threads are made with the first socket that waits.
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            socket.Listen(1);
            using var arguments = new SocketAsyncEventArgs();
            socket.AcceptAsync(arguments);
        }
        catch (SocketException)
        {
            // Without loopback they are made with the first other socket.
        }
        finally
        {
            // Services that this process starts are none of its business.
            Environment.SetEnvironmentVariable(ThreadCount, null);
        }
    }

    internal static void Prefer(Socket? socket)
    {
        if (!available || socket is null) return;
        try
        {
            SetPreferInlineCompletions(socket, true);
        }
        catch (MissingMethodException)
        {
            // Another version of .NET: it works as all other sockets do.
            available = false;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Method, Name = "set_PreferInlineCompletions")]
    private static extern void SetPreferInlineCompletions(Socket socket, bool value);
}
