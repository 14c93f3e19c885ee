using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Process;

/// <summary>One process that the guard runs for us: started, signalled, awaited, adopted. The guard's messages arrive in order on one thread.</summary>
internal sealed class GuardedProcess(string name, IGuardLink guard)
{
    private readonly Lock _gate = new();
    private TaskCompletionSource<Launched>? _launching;
    private TaskCompletionSource _exited = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Raised on the guard's thread, with why.</summary>
    public event Action<string>? Ended;
    /// <summary>The same: its main process has ended, but others that were killed with it have not.</summary>
    public event Action? Lingers;

    public int? Id { get; private set; }
    public LaunchRequest? Request { get; private set; }

    /// <summary>Completed when the process that runs now has ended.</summary>
    public Task Exit
    {
        get
        {
            lock (_gate)
            {
                return Id is null ? Task.CompletedTask : _exited.Task;
            }
        }
    }

    /// <summary>Null when it runs; else why not.</summary>
    public async Task<string?> LaunchAsync(LaunchRequest request, TimeSpan limit, CancellationToken cancellation)
    {
        var launching = new TaskCompletionSource<Launched>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_gate)
        {
            _launching = launching;
            Request = request;
        }

        guard.Send(new Launch(request));
        try
        {
            var launched = await launching.Task.WaitAsync(limit, cancellation).ConfigureAwait(false);
            return launched.ProcessId == 0 ? launched.Error ?? "it could not be started" : null;
        }
        catch (TimeoutException)
        {
            return "the guard did not start it in time";
        }
    }

    public void Signal(int number, bool tree = false) => guard.Send(new Signal(name, number, tree));

    /// <returns>False when it still runs after <paramref name="limit"/>.</returns>
    public async Task<bool> EndsWithinAsync(TimeSpan limit, CancellationToken cancellation)
    {
        try
        {
            await Exit.WaitAsync(limit, cancellation).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    public void OnLaunched(Launched launched)
    {
        lock (_gate)
        {
            if (launched.ProcessId != 0)
            {
                BecomeRunning(launched.ProcessId);
            }

            _launching?.TrySetResult(launched);
        }
    }

    public void OnAdopted(RunningInstance running)
    {
        lock (_gate)
        {
            if (Id != running.ProcessId)
            {
                Request = running.Request;
                BecomeRunning(running.ProcessId);
            }

            _launching?.TrySetResult(new Launched(name, running.ProcessId, null));
        }
    }

    public void OnLeft(int process)
    {
        if (Id == process)
        {
            Lingers?.Invoke();
        }
    }

    /// <returns>False when it was another process.</returns>
    public bool OnExited(int process, string reason)
    {
        lock (_gate)
        {
            if (Id != process)
            {
                return false;
            }

            Id = null;
            _exited.TrySetResult();
        }

        Ended?.Invoke(reason);
        return true;
    }

    private void BecomeRunning(int process)
    {
        Id = process;
        _exited = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
