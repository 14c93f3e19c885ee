using System.Collections.Concurrent;
using System.Net.Sockets;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Ocf.Hosting;

/// <summary>One host's connection: asks it to run actions in its tree. When it breaks, whatever is under way has failed.</summary>
internal sealed class HostConnection(Socket socket, HostHello hello) : IDisposable
{
    private static readonly TimeSpan CancelPatience = TimeSpan.FromSeconds(2);
    // Not from one: a host may still tell the end of what an earlier agent asked for.
    private static long _next = DateTime.UtcNow.Ticks;
    private readonly ConcurrentDictionary<long, TaskCompletionSource<ActionEnded>> _waiting = new();
    private readonly Lock _sending = new();
    private volatile bool _gone;

    public string Instance => hello.Instance;
    public int ProcessId => hello.ProcessId;
    public string Memo => hello.Memo;

    /// <summary>Runs a program in the host's tree. A cancelled one is killed, and its end awaited for a moment.</summary>
    public async Task<ActionEnded> RunAsync(
        IReadOnlyList<string> command, IReadOnlyDictionary<string, string> environment, TimeSpan timeout, CancellationToken cancellation)
    {
        var id = Interlocked.Increment(ref _next);
        var ended = _waiting[id] = new TaskCompletionSource<ActionEnded>(TaskCreationOptions.RunContinuationsAsynchronously);
        Send(new RunAction(id, command, environment, (int)Math.Clamp(timeout.TotalMilliseconds, 1, int.MaxValue)));
        if (_gone)
        {
            Fail();
        }

        try
        {
            return await ended.Task.WaitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            Send(new CancelAction(id));
            await ((Task)ended.Task).WaitAsync(CancelPatience, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            throw;
        }
        finally
        {
            _waiting.TryRemove(id, out _);
        }
    }

    public void Remember(string memo) => Send(new Remember(memo));

    public void OnMessage(HostMessage message)
    {
        if (message is ActionEnded ended && _waiting.TryGetValue(ended.Id, out var waiting))
        {
            waiting.TrySetResult(ended);
        }
    }

    public void OnGone()
    {
        _gone = true;
        Fail();
    }

    public void Dispose() => socket.Dispose();

    private void Fail()
    {
        foreach (var (id, waiting) in _waiting)
        {
            waiting.TrySetResult(new ActionEnded(id, -1, false, "", "", "its processes were ended meanwhile"));
        }
    }

    private void Send(HostMessage message)
    {
        try
        {
            var frame = HostProtocolJson.Frame(message);
            lock (_sending)
            {
                for (var sent = 0; sent < frame.Length;)
                {
                    sent += socket.Send(frame.AsSpan(sent));
                }
            }
        }
        catch (Exception exception) when (exception is SocketException or ObjectDisposedException)
        {
            OnGone();
        }
    }
}
