using System.Runtime.InteropServices;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Netlink;

/// <summary>What the kernel answered: error number 0 is success; <see cref="Text"/> says more where the kernel does.</summary>
internal readonly record struct NetlinkAnswer(int Error, string? Text)
{
    public string? Reason => Error == 0 ? null : Text is null ? Libc.Describe(Error) : $"{Libc.Describe(Error)}: {Text}";
}

internal delegate void NetlinkMessageHandler(ushort type, ReadOnlySpan<byte> body);

/// <summary>
/// A netlink socket in the network namespace of the thread that made it. The kernel carries a request out inside the send call
/// and queues its answer there, so that nothing here ever waits: no answer at once is a failure.
/// </summary>
internal sealed unsafe class NetlinkSocket : IDisposable
{
    public const int Route = 0, Netfilter = 12;
    private const int SolNetlink = 270, CapAck = 10, ExtendedAck = 11;
    private const ushort ErrorMessage = 2, DoneMessage = 3;
    private const ushort FlagCapped = 0x100, FlagExtended = 0x200;

    private readonly byte[] received = new byte[65536];
    private int descriptor;

    private NetlinkSocket(int descriptor) => this.descriptor = descriptor;

    /// <returns>Null with the reason where the kernel gives no such socket.</returns>
    public static NetlinkSocket? TryOpen(int protocol, out string? reason)
    {
        reason = null;
        var descriptor = Libc.socket(Libc.AfNetlink, Libc.SockRaw | Libc.SockCloseOnExec, protocol);
        if (descriptor < 0)
        {
            reason = Libc.Describe(Libc.LastError);
            return null;
        }
        var on = 1;
        _ = Libc.setsockopt(descriptor, SolNetlink, CapAck, &on, sizeof(int));
        _ = Libc.setsockopt(descriptor, SolNetlink, ExtendedAck, &on, sizeof(int));
        return new NetlinkSocket(descriptor);
    }

    /// <summary>Sends what is written and returns the first error among the answers.</summary>
    public NetlinkAnswer Transact(NetlinkWriter writer)
    {
        while (Receive() > 0) { } // Late answers to an earlier request that failed half-way.
        if (Send(writer.Written) is var error and not 0) return new NetlinkAnswer(error, null);
        var first = new NetlinkAnswer(Errno.Again, "the kernel did not answer");
        var answered = false;
        for (int count; (count = Receive()) > 0;)
        {
            var reader = new NetlinkReader(received.AsSpan(0, count));
            while (reader.NextMessage(out var type, out var flags, out var body))
            {
                if (type != ErrorMessage || body.Length < 4) continue;
                var answer = -MemoryMarshal.Read<int>(body);
                if (answered && first.Error != 0) continue;
                answered = true;
                first = new NetlinkAnswer(answer, answer == 0 ? null : ReadText(flags, body));
            }
        }
        return first;
    }

    /// <summary>Sends a dump request and hands over each message until the kernel says that it is done.</summary>
    public NetlinkAnswer Dump(NetlinkWriter writer, NetlinkMessageHandler handler)
    {
        while (Receive() > 0) { }
        if (Send(writer.Written) is var error and not 0) return new NetlinkAnswer(error, null);
        for (int count; (count = Receive()) > 0;)
        {
            var reader = new NetlinkReader(received.AsSpan(0, count));
            while (reader.NextMessage(out var type, out var flags, out var body))
            {
                if (type == DoneMessage) return default;
                if (type == ErrorMessage)
                {
                    var answer = -MemoryMarshal.Read<int>(body);
                    return new NetlinkAnswer(answer, answer == 0 ? null : ReadText(flags, body));
                }
                handler(type, body);
            }
        }
        return new NetlinkAnswer(Errno.Again, "the kernel did not finish its answer");
    }

    private int Send(ReadOnlySpan<byte> data)
    {
        fixed (byte* bytes = data)
        {
            // sockaddr_nl of the kernel: family, pad, port 0, no groups.
            var kernel = stackalloc byte[12];
            new Span<byte>(kernel, 12).Clear();
            *(ushort*)kernel = Libc.AfNetlink;
            while (true)
            {
                if (Libc.sendto(descriptor, bytes, data.Length, 0, kernel, 12) >= 0) return 0;
                if (Libc.LastError != Errno.Interrupted) return Libc.LastError;
            }
        }
    }

    private int Receive()
    {
        fixed (byte* bytes = received)
        {
            while (true)
            {
                var count = Libc.recv(descriptor, bytes, received.Length, Libc.DontWait);
                if (count >= 0) return (int)count;
                if (Libc.LastError == Errno.NoBufferSpace) continue; // Answers were dropped; read on to what is left.
                if (Libc.LastError != Errno.Interrupted) return -1;
            }
        }
    }

    // After the error number: the request's header (16 bytes; whole request when not capped), then NLMSGERR_ATTR_MSG = 1.
    private static string? ReadText(ushort flags, ReadOnlySpan<byte> body)
    {
        if ((flags & FlagExtended) == 0 || body.Length < 20) return null;
        var skip = 4 + ((flags & FlagCapped) != 0 ? 16 : MemoryMarshal.Read<int>(body[4..]));
        if (skip > body.Length) return null;
        var reader = new NetlinkReader(body[skip..]);
        while (reader.NextAttribute(out var type, out var value))
            if (type == 1) return NetlinkReader.Text(value);
        return null;
    }

    public void Dispose()
    {
        if (descriptor >= 0) _ = Libc.close(descriptor);
        descriptor = -1;
    }
}
