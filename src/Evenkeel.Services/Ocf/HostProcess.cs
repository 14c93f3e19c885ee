using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Hosting;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.Ocf;

/// <summary>The instance's host as a child of the guard: launched until it calls, adopted, ended. Its messages come through the driver.</summary>
internal sealed class HostProcess(OcfSetting setting, string service)
{
    private static readonly TimeSpan LaunchPatience = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan EndPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan BetweenTries = TimeSpan.FromMilliseconds(50);
    private const int Tries = 8;
    private const int Kill = 9;
    private readonly GuardedProcess _process = new(service, setting.Guard);

    public int? ProcessId => _process.Id;

    /// <summary>Starts a host and waits for its call.</summary>
    /// <returns>Null with the reason.</returns>
    public async Task<(HostConnection? Host, string Reason)> LaunchAsync(LaunchRequest request, CancellationToken cancellation)
    {
        string? reason = null;
        // The last processes of the one before may not have ended yet, and then the guard refuses.
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            reason = await _process.LaunchAsync(request, LaunchPatience, cancellation).ConfigureAwait(false);
            if (reason is null)
            {
                return await ConnectAsync(cancellation).ConfigureAwait(false);
            }

            await Task.Delay(BetweenTries, cancellation).ConfigureAwait(false);
        }

        return (null, reason ?? "");
    }

    public void Adopt(RunningInstance running) => _process.OnAdopted(running);

    public void OnLaunched(Launched launched) => _process.OnLaunched(launched);

    /// <returns>False when it was another process.</returns>
    public bool OnExited(int process) => _process.OnExited(process, "");

    /// <summary>Kills the whole tree and waits for its end.</summary>
    public Task<bool> EndAsync(CancellationToken cancellation)
    {
        if (_process.Id is null)
        {
            return Task.FromResult(true);
        }

        _process.Signal(Kill, tree: true);
        return _process.EndsWithinAsync(EndPatience, cancellation);
    }

    private async Task<(HostConnection? Host, string Reason)> ConnectAsync(CancellationToken cancellation)
    {
        if (_process.Id is not { } process)
        {
            return (null, "its host ended at once");
        }

        try
        {
            return (await setting.Server.HostAsync(service, process, LaunchPatience, cancellation).ConfigureAwait(false), "");
        }
        catch (TimeoutException exception)
        {
            return (null, exception.Message);
        }
    }
}
