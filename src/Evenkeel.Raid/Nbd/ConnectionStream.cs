using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Evenkeel.Raid.Nbd;

/// <summary>
/// A connection for a thread of its own: whoever reads is blocked in the kernel until something comes, and every read has ended when its
/// call returns. Through the platform's poller and the thread pool each request would wake two threads more. A write keeps its caller
/// no longer than <see cref="WritePatience"/>; the rest goes to another thread, or two sides that only write would wait for each other.
/// </summary>
internal sealed partial class ConnectionStream(Socket socket) : Stream
{
    private const int DontWait = 0x40, NoSignal = 0x4000, TryAgain = 11, Interrupted = 4;
    private static readonly TimeSpan WritePatience = TimeSpan.FromMilliseconds(10);

    public override bool CanRead => true;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override int Read(Span<byte> buffer)
    {
        try
        {
            return socket.Receive(buffer);
        }
        catch (SocketException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    /// <summary>Blocks like <see cref="Read(Span{byte})"/>. What cancels it is the end of the socket.</summary>
    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            return new ValueTask<int>(Read(buffer.Span));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return ValueTask.FromException<int>(e);
        }
    }

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        try
        {
            while (buffer.Length > 0) buffer = buffer[socket.Send(buffer)..];
        }
        catch (SocketException e)
        {
            throw new IOException(e.Message, e);
        }
    }

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            while (buffer.Length > 0)
            {
                var sent = SendNow(buffer.Span);
                if (sent == 0 && !socket.Poll(WritePatience, SelectMode.SelectWrite)) return new ValueTask(WriteElsewhereAsync(buffer));
                buffer = buffer[sent..];
            }

            return default;
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return ValueTask.FromException(e);
        }
        catch (SocketException e)
        {
            return ValueTask.FromException(new IOException(e.Message, e));
        }
    }

    public override void Flush()
    {
    }

    public override Task FlushAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    protected override void Dispose(bool disposing)
    {
        if (disposing) socket.Dispose();
        base.Dispose(disposing);
    }

    private Task WriteElsewhereAsync(ReadOnlyMemory<byte> buffer) =>
        Task.Factory.StartNew(() => Write(buffer.Span), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    // Bytes that the kernel took; 0 if it has no room.
    private unsafe int SendNow(ReadOnlySpan<byte> bytes)
    {
        nint sent;
        fixed (byte* start = bytes) sent = Send(socket.SafeHandle, start, bytes.Length, DontWait | NoSignal);
        if (sent >= 0) return (int)sent;
        var error = Marshal.GetLastPInvokeError();
        return error is TryAgain or Interrupted ? 0 : throw new IOException(Marshal.GetPInvokeErrorMessage(error));
    }

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static unsafe partial nint Send(SafeSocketHandle socket, byte* buffer, nint length, int flags);
}
