using System.Net.Sockets;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Pipe;

/// <summary>Where agents connect: a Unix-domain socket that only the guard's own user (and root) may use.</summary>
internal sealed class AgentServer : IDisposable
{
    private readonly Socket _socket = new(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
    private readonly string _path;

    /// <summary>The node's lock is held, so a socket file that is there is a leftover.</summary>
    public AgentServer(string path)
    {
        _path = path;
        File.Delete(path);
        var before = Libc.UMask(0x3f); // 0077
        try { _socket.Bind(new UnixDomainSocketEndPoint(path)); }
        finally { _ = Libc.UMask(before); }
        _socket.Listen(8);
    }

    public int Descriptor => (int)_socket.Handle;

    /// <summary>Takes the connection that waits (called when the socket is readable); null when it is gone again or a stranger's.</summary>
    public AgentPipe? Accept()
    {
        try
        {
            var pipe = new AgentPipe(_socket.Accept());
            if (pipe.Process.User == Libc.EffectiveUser() || pipe.Process.User == 0) return pipe;
            pipe.Process.Dispose();
            pipe.Dispose();
        }
        catch (Exception error) when (error is SocketException or InvalidOperationException) { }
        return null;
    }

    public void Dispose()
    {
        _socket.Dispose();
        File.Delete(_path);
    }
}
