using System.Runtime.InteropServices;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Pipe;

/// <summary>
/// The process at the other end of the pipe, by a handle that means this very process even after it is gone (SO_PEERPIDFD
/// where the kernel is 6.5 or newer). So a kill never hits a stranger, and its end is seen at once.
/// </summary>
internal sealed unsafe class AgentProcess : IDisposable
{
    private const int SolSocket = 1, SoPeerCred = 17, SoPeerPidfd = 77;

    [StructLayout(LayoutKind.Sequential)]
    private struct Credentials
    {
        public int ProcessId;
        public uint User;
        public uint Group;
    }

    private AgentProcess(int processId, uint user, int pidfd) => (ProcessId, User, Descriptor) = (processId, user, pidfd);

    public int ProcessId { get; }
    public uint User { get; }
    /// <summary>Becomes readable when the process ends; -1 when it had ended before we asked.</summary>
    public int Descriptor { get; private set; }

    public static AgentProcess Of(int socket)
    {
        Credentials credentials;
        var length = (uint)sizeof(Credentials);
        if (Libc.GetSocketOption(socket, SolSocket, SoPeerCred, &credentials, &length) != 0)
            throw new InvalidOperationException($"the agent's credentials cannot be read: error {Marshal.GetLastPInvokeError()}");
        int pidfd;
        length = sizeof(int);
        if (Libc.GetSocketOption(socket, SolSocket, SoPeerPidfd, &pidfd, &length) != 0) pidfd = Libc.PidfdOpen(credentials.ProcessId);
        return new(credentials.ProcessId, credentials.User, pidfd);
    }

    public void Kill()
    {
        if (Descriptor >= 0) _ = Libc.PidfdSendSignal(Descriptor, 9);
    }

    public void Dispose()
    {
        if (Descriptor >= 0) _ = Libc.Close(Descriptor);
        Descriptor = -1;
    }
}
