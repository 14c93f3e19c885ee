using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The pipe to the guard for the agent's whole life: when it breaks, the break is told, and a guard is found or started anew;
/// its first message is its hello. What is sent while there is no guard is dropped: a new guard is told everything again.
/// </summary>
internal sealed class ReconnectingGuard(Func<CancellationToken, Task<IGuardLink>> connect, Action<string> log) : IGuardLink
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(100);
    private IGuardLink? _link;
    private volatile bool _last;

    public event Action<GuardMessage>? Received;

    /// <summary>Raised at every break.</summary>
    public event Action<string>? Broken;

    public void Send(AgentMessage message) => Volatile.Read(ref _link)?.Send(message);

    /// <summary>The guard is to end: no other takes its place.</summary>
    public void Shutdown()
    {
        _last = true;
        Send(new Shutdown());
    }

    /// <summary>The guard is to give up everything and end; another takes its place.</summary>
    public void Renew() => Send(new Shutdown());

    public async Task RunAsync(CancellationToken cancellation)
    {
        string? lastComplaint = null;
        while (!cancellation.IsCancellationRequested && !_last)
        {
            try
            {
                var link = await connect(cancellation).ConfigureAwait(false);
                lastComplaint = null;
                await FollowAsync(link, cancellation).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }
            catch (Exception exception) when (exception is IOException or System.Net.Sockets.SocketException or InvalidOperationException
                or System.ComponentModel.Win32Exception or TimeoutException or OperationCanceledException)
            {
                if (exception.Message != lastComplaint)
                {
                    log($"no guard: {exception.Message}");
                    lastComplaint = exception.Message;
                }
            }

            await Task.Delay(RetryDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _link, null) is { } link)
        {
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task FollowAsync(IGuardLink link, CancellationToken cancellation)
    {
        var broken = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
        link.Broken += reason => broken.TrySetResult(reason);
        link.Received += message =>
        {
            // Before anybody hears the hello: its answer (the configuration) must find the way. And not before the hello, lest
            // what was meant for the last guard reaches this one.
            if (message is GuardHello)
            {
                Volatile.Write(ref _link, link);
            }

            Received?.Invoke(message);
        };
        try
        {
            var reason = await broken.Task.WaitAsync(cancellation).ConfigureAwait(false);
            // Only now: who began to listen while the link stood hears of its end.
            Broken?.Invoke(reason);
        }
        finally
        {
            Interlocked.CompareExchange(ref _link, null, link);
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }
}
