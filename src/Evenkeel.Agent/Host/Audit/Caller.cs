using System.Globalization;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Evenkeel.Agent.Host.Audit;

/// <summary>Who is at the other end of a unix socket, as the kernel says (SO_PEERCRED, unix(7)): it cannot be forged.</summary>
/// <param name="User">The user id.</param>
/// <param name="Name">The user's name on this node; the number where <c>/etc/passwd</c> has none (a directory's user).</param>
/// <param name="Process">The process id when it connected.</param>
internal sealed partial record Caller(uint User, string Name, int Process)
{
    private const int SolSocket = 1, SoPeerCred = 17; // asm-generic/socket.h

    /// <returns>Null when it is no unix socket.</returns>
    public static Caller? Of(Socket? socket)
    {
        if (socket is not { AddressFamily: AddressFamily.Unix })
        {
            return null;
        }

        Span<int> credentials = stackalloc int[3]; // struct ucred: pid, uid, gid
        socket.GetRawSocketOption(SolSocket, SoPeerCred, MemoryMarshal.AsBytes(credentials));
        var user = unchecked((uint)credentials[1]);
        return new Caller(user, NameOf(user), credentials[0]);
    }

    /// <summary>Who runs this process; behind 'sudo' that is root, and the name says for whom.</summary>
    public static Caller Own()
    {
        var user = geteuid();
        return new Caller(user, Environment.GetEnvironmentVariable("SUDO_USER") is { Length: > 0 } behind ? $"{NameOf(user)} (sudo: {behind})" : NameOf(user), Environment.ProcessId);
    }

    [LibraryImport("libc")]
    private static partial uint geteuid();

    private static string NameOf(uint user)
    {
        var number = user.ToString(CultureInfo.InvariantCulture);
        try
        {
            return File.ReadLines("/etc/passwd").Select(line => line.Split(':')).FirstOrDefault(fields => fields.Length > 2 && fields[2] == number)?[0] ?? number;
        }
        catch (IOException)
        {
            return number;
        }
    }
}
