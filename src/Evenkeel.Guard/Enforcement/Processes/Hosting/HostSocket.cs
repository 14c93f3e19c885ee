using System.Net.Sockets;
using System.Text.Json;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Guard.Enforcement.Processes.Hosting;

/// <summary>One connection to the driver's socket, without waiting except to write.</summary>
internal sealed class HostSocket(Socket socket) : IDisposable
{
    private const int WritePatience = 5000;
    private readonly List<byte> received = [];

    public int Descriptor => (int)socket.Handle;

    /// <returns>Null when nobody listens there.</returns>
    public static HostSocket? Connect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { SendTimeout = WritePatience };
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return new HostSocket(socket);
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
    }

    /// <returns>False when the connection is of no use any more.</returns>
    public bool Send(HostMessage message)
    {
        try
        {
            var frame = HostProtocolJson.Frame(message);
            for (var sent = 0; sent < frame.Length;) sent += socket.Send(frame.AsSpan(sent));
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    /// <summary>Reads once (after poll said that there is something) and gives the messages that are whole.</summary>
    /// <returns>False at the connection's end.</returns>
    public bool Receive(List<HostMessage> messages)
    {
        Span<byte> block = stackalloc byte[16384];
        try
        {
            var count = socket.Receive(block);
            if (count == 0) return false;
            received.AddRange(block[..count]);
            while (received.Count >= HostProtocolJson.PrefixLength)
            {
                var bytes = System.Runtime.InteropServices.CollectionsMarshal.AsSpan(received);
                var length = HostProtocolJson.Length(bytes);
                if (bytes.Length < HostProtocolJson.PrefixLength + length) break;
                messages.Add(HostProtocolJson.Parse(bytes.Slice(HostProtocolJson.PrefixLength, length)));
                received.RemoveRange(0, HostProtocolJson.PrefixLength + length);
            }
            return true;
        }
        catch (Exception e) when (e is SocketException or InvalidDataException or JsonException)
        {
            return false;
        }
    }

    public void Dispose() => socket.Dispose();
}
