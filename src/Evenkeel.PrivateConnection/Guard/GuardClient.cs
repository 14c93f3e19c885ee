using System.Buffers.Binary;
using System.Net.Sockets;
using System.Text.Json;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PrivateConnection.Guard;

/// <summary>
/// The agent's pipe to its guard. Two threads of its own, so that a busy thread pool does not look like a hung agent. Reading
/// begins with the first subscriber of <see cref="Received"/>, which therefore misses nothing.
/// </summary>
public sealed class GuardClient : IGuardLink
{
    private const int MaximumMessage = 1 << 20;
    private const int MaximumQueued = 4096;
    private const int MaximumBatch = 256;

    private readonly Socket _socket;
    private readonly WaitingQueue<AgentMessage> _outbox = new(MaximumQueued);
    private readonly ListenerFuse _fuse = new();
    private readonly Lock _gate = new();
    private Action<GuardMessage>? _received;
    private bool _reading;
    private int _broken;

    internal GuardClient(Socket socket)
    {
        _socket = socket;
        new Thread(WriteAll) { IsBackground = true, Name = "guard link, writing", Priority = ThreadPriority.AboveNormal }.Start();
    }

    public event Action<string>? Broken;

    public event Action<GuardMessage>? Received
    {
        add
        {
            lock (_gate)
            {
                _received += value;
                if (_reading) return;
                _reading = true;
            }
            new Thread(ReadAll) { IsBackground = true, Name = "guard link, reading", Priority = ThreadPriority.AboveNormal }.Start();
        }
        remove { lock (_gate) _received -= value; }
    }

    /// <summary>Connects to the node's guard; starts one when none answers.</summary>
    /// <exception cref="TimeoutException">No guard answers within ten seconds.</exception>
    /// <exception cref="System.ComponentModel.Win32Exception">The guard's program cannot be started.</exception>
    public static async Task<GuardClient> ConnectAsync(GuardExecutable guard, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(TimeSpan.FromSeconds(10));
        System.Diagnostics.Process? started = null;
        try
        {
            while (true)
            {
                if (TryConnect(guard.SocketPath) is { } socket) return new GuardClient(socket);
                // One that lost the race for the lock has exited; whoever won it listens soon, unless it is just ending.
                if (started is null or { HasExited: true }) { started?.Dispose(); started = guard.Start(); }
                // A process that starts has no event to wait for before its socket is there.
                await Task.Delay(20, limit.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new TimeoutException($"no guard answers on {guard.SocketPath}; see {guard.LogFile}");
        }
        finally { started?.Dispose(); }
    }

    // Not asynchronously: the socket would stay one that the platform polls, and each message would wake two threads.
    private static Socket? TryConnect(string path)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(path));
            return socket;
        }
        catch (SocketException) { socket.Dispose(); return null; }
    }

    public void Send(AgentMessage message)
    {
        if (message is ListenerClosed closed) _fuse.Disarm(closed.Resource, closed.Epoch);
        if (Volatile.Read(ref _broken) == 0 && !_outbox.TryAdd(message)) Break("the guard does not read");
    }

    private void WriteAll()
    {
        try
        {
            foreach (var message in _outbox.TakeAll())
            {
                var body = JsonSerializer.SerializeToUtf8Bytes(message, GuardProtocolJson.Default.AgentMessage);
                var frame = new byte[4 + body.Length];
                BinaryPrimitives.WriteInt32LittleEndian(frame, body.Length);
                body.CopyTo(frame, 4);
                for (var sent = 0; sent < frame.Length;) sent += _socket.Send(frame.AsSpan(sent));
            }
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException) { Break(error.Message); }
    }

    private void ReadAll()
    {
        try
        {
            while (ReadBatch() is { } batch)
                foreach (var message in batch) _received?.Invoke(message);
            Break("the guard closed the pipe");
        }
        catch (Exception error) when (error is SocketException or ObjectDisposedException or JsonException) { Break(error.Message); }
    }

    // All that has arrived is read before any of it is passed on: after a pause the newest renewal counts, not the oldest.
    private List<GuardMessage>? ReadBatch()
    {
        var batch = new List<GuardMessage>();
        do
        {
            if (ReadOne() is not { } message) return null;
            _fuse.Take(message);
            batch.Add(message);
        }
        while (_socket.Available > 0 && batch.Count < MaximumBatch);
        _fuse.Set();
        return batch;
    }

    private GuardMessage? ReadOne()
    {
        Span<byte> length = stackalloc byte[4];
        if (!TryFill(length)) return null;
        var size = BinaryPrimitives.ReadInt32LittleEndian(length);
        if (size is < 2 or > MaximumMessage) throw new JsonException($"the guard sent a message of {size} bytes");
        var body = new byte[size];
        if (!TryFill(body)) return null;
        return JsonSerializer.Deserialize(body, GuardProtocolJson.Default.GuardMessage) ?? throw new JsonException("null is no message");
    }

    private bool TryFill(Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var received = _socket.Receive(buffer);
            if (received == 0) return false;
            buffer = buffer[received..];
        }
        return true;
    }

    private void Break(string reason)
    {
        if (Interlocked.Exchange(ref _broken, 1) != 0) return;
        _outbox.Complete();
        _socket.Dispose();
        Broken?.Invoke(reason);
    }

    /// <summary>
    /// Closes the pipe. Listeners that are still open under a lease must be closed and confirmed first: their kernel timers
    /// run on, and end the process.
    /// </summary>
    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _broken, 1) == 0)
        {
            _outbox.Complete();
            _socket.Dispose();
        }
        return ValueTask.CompletedTask;
    }
}
