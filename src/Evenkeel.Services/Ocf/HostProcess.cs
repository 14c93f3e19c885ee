using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Hosting;

namespace Evenkeel.Services.Ocf;

/// <summary>The instance's host as a child of the guard: launched, adopted, ended. Its messages come through the driver.</summary>
internal sealed class HostProcess(OcfSetting setting, string service)
{
    private static readonly TimeSpan LaunchPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BetweenTries = TimeSpan.FromMilliseconds(50);
    private const int Tries = 8;
    private readonly Lock _gate = new();
    private TaskCompletionSource<Launched>? _launching;
    private TaskCompletionSource _ended = Done();

    public int? ProcessId { get; private set; }

    /// <summary>Starts a host and waits for its call.</summary>
    /// <returns>Null with the reason.</returns>
    public async Task<(HostConnection? Host, string Reason)> LaunchAsync(LaunchRequest request, CancellationToken cancellation)
    {
        var reason = "";
        // The last processes of the one before may not have ended yet, and then the guard refuses.
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            var launching = new TaskCompletionSource<Launched>(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (_gate)
            {
                _launching = launching;
            }

            setting.Guard.Send(new Launch(request));
            try
            {
                var launched = await launching.Task.WaitAsync(LaunchPatience, cancellation).ConfigureAwait(false);
                if (launched.ProcessId != 0)
                {
                    return (await setting.Server.HostAsync(service, launched.ProcessId, LaunchPatience, cancellation).ConfigureAwait(false), "");
                }

                reason = launched.Error ?? "its host could not be started";
            }
            catch (TimeoutException exception)
            {
                return (null, launching.Task.IsCompleted ? exception.Message : "the guard did not start its host in time");
            }

            await Task.Delay(BetweenTries, cancellation).ConfigureAwait(false);
        }

        return (null, reason);
    }

    public void Adopt(RunningInstance running) => OnLaunched(new Launched(running.Instance, running.ProcessId, null));

    public void OnLaunched(Launched launched)
    {
        TaskCompletionSource<Launched>? launching;
        lock (_gate)
        {
            if (launched.ProcessId != 0 && ProcessId != launched.ProcessId)
            {
                ProcessId = launched.ProcessId;
                _ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            }

            launching = _launching;
        }

        launching?.TrySetResult(launched);
    }

    /// <returns>False when it was another process.</returns>
    public bool OnExited(int process)
    {
        lock (_gate)
        {
            if (ProcessId != process)
            {
                return false;
            }

            ProcessId = null;
            _ended.TrySetResult();
            return true;
        }
    }

    /// <summary>Kills the whole tree and waits for its end.</summary>
    public async Task<bool> EndAsync(CancellationToken cancellation)
    {
        Task ended;
        lock (_gate)
        {
            if (ProcessId is null)
            {
                return true;
            }

            ended = _ended.Task;
        }

        setting.Guard.Send(new Signal(service, 9, Tree: true));
        try
        {
            await ended.WaitAsync(EndPatience, cancellation).ConfigureAwait(false);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    private static TaskCompletionSource Done()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }
}
