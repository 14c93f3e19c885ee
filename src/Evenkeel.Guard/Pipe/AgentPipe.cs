using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text.Json;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Guard.Native;

namespace Evenkeel.Guard.Pipe;

/// <summary>
/// The connection to one agent: messages of at most 1 MiB, each preceded by its length (32-bit little-endian). Never blocks:
/// what does not leave at once waits here, and an agent that leaves more than 4 MiB unread counts as gone.
/// </summary>
internal sealed unsafe class AgentPipe : IDisposable
{
    public const int MaximumMessage = 1 << 20;
    private const int MaximumUnsent = 4 << 20;

    private readonly Socket _socket;
    private byte[] _received = new byte[16 << 10];
    private int _receivedLength;
    private byte[] _unsent = new byte[16 << 10];
    private int _unsentLength;

    public AgentPipe(Socket socket)
    {
        _socket = socket;
        Process = AgentProcess.Of((int)socket.Handle);
    }

    public AgentProcess Process { get; }
    public int Descriptor => (int)_socket.Handle;
    public bool HasUnsent => _unsentLength > 0;
    /// <summary>Why the pipe is broken; null while it works.</summary>
    public string? Broken { get; private set; }

    /// <summary>Reads what has arrived, at most one buffer's full.</summary>
    public void Receive(Action<AgentMessage> take)
    {
        if (_receivedLength == _received.Length) Array.Resize(ref _received, _received.Length * 2);
        nint length;
        fixed (byte* at = &_received[_receivedLength])
            length = Libc.ReceiveFrom(Descriptor, at, (nuint)(_received.Length - _receivedLength), Libc.MsgDontWait, 0, 0);
        if (length == 0) Broken ??= "the agent closed it";
        else if (length > 0) { _receivedLength += (int)length; TakeMessages(take); }
        else if (System.Runtime.InteropServices.Marshal.GetLastPInvokeError() is var error and not (Libc.EAgain or Libc.EIntr)) Broken ??= $"error {error}";
    }

    private void TakeMessages(Action<AgentMessage> take)
    {
        var at = 0;
        while (Broken is null && _receivedLength - at >= 4)
        {
            var length = BinaryPrimitives.ReadInt32LittleEndian(_received.AsSpan(at));
            if (length is < 2 or > MaximumMessage) { Broken = $"a message of {length} bytes"; return; }
            if (_receivedLength - at - 4 < length) break;
            try
            {
                take(JsonSerializer.Deserialize(_received.AsSpan(at + 4, length), GuardProtocolJson.Default.AgentMessage)
                    ?? throw new JsonException("null is no message"));
            }
            catch (JsonException error) { Broken = $"a message that is none: {error.Message}"; return; }
            at += 4 + length;
        }
        _received.AsSpan(at, _receivedLength - at).CopyTo(_received);
        _receivedLength -= at;
    }

    public void Send(GuardMessage message)
    {
        if (Broken is not null) return;
        var body = JsonSerializer.SerializeToUtf8Bytes(message, GuardProtocolJson.Default.GuardMessage);
        var needed = _unsentLength + 4 + body.Length;
        if (needed > MaximumUnsent) { Broken = "the agent does not read"; return; }
        if (needed > _unsent.Length) Array.Resize(ref _unsent, Math.Max(needed, _unsent.Length * 2));
        BinaryPrimitives.WriteInt32LittleEndian(_unsent.AsSpan(_unsentLength), body.Length);
        body.CopyTo(_unsent, _unsentLength + 4);
        _unsentLength = needed;
        Flush();
    }

    public void Flush()
    {
        while (_unsentLength > 0 && Broken is null)
        {
            nint sent;
            fixed (byte* start = _unsent) sent = Libc.SendTo(Descriptor, start, (nuint)_unsentLength, Libc.MsgDontWait | Libc.MsgNoSignal, null, 0);
            if (sent < 0)
            {
                if (System.Runtime.InteropServices.Marshal.GetLastPInvokeError() is var error and not (Libc.EAgain or Libc.EIntr)) Broken = $"error {error}";
                return;
            }
            _unsent.AsSpan((int)sent, _unsentLength - (int)sent).CopyTo(_unsent);
            _unsentLength -= (int)sent;
        }
    }

    /// <summary>Closes the connection; the handle on the process is the owner's to dispose.</summary>
    public void Dispose() => _socket.Dispose();
}
