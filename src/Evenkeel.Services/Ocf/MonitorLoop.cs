using Evenkeel.Services.Ocf.Agents;

namespace Evenkeel.Services.Ocf;

/// <summary>Asks a running resource how it is, between its other actions, which take precedence.</summary>
internal sealed class MonitorLoop(HostedResource hosted, SemaphoreSlim turn, Func<MonitorVerdict, AgentActions, ResourceContext, CancellationToken, Task> apply) : IDisposable
{
    private CancellationTokenSource? _checking;

    /// <summary>A monitor that is under way gives way: to interrupt it changes nothing.</summary>
    public void Stop() => _checking?.Cancel();

    public void Begin(TimeSpan every, TimeSpan timeout)
    {
        Stop();
        _checking = new CancellationTokenSource();
        _ = RunAsync(every, timeout, _checking.Token);
    }

    public void Dispose()
    {
        Stop();
        _checking?.Dispose();
        _checking = null;
    }

    private async Task RunAsync(TimeSpan every, TimeSpan timeout, CancellationToken stop)
    {
        var verdicts = new MonitorVerdicts();
        using var timer = new PeriodicTimer(every);
        try
        {
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false))
            {
                await turn.WaitAsync(stop).ConfigureAwait(false);
                try
                {
                    if (hosted.Actions is not { } actions || hosted.Resource is not { } resource)
                    {
                        return;
                    }

                    var outcome = await actions.MonitorAsync(resource, timeout, every, stop).ConfigureAwait(false);
                    if (stop.IsCancellationRequested)
                    {
                        return;
                    }

                    await apply(verdicts.Of(outcome, resource), actions, resource, stop).ConfigureAwait(false);
                }
                finally
                {
                    turn.Release();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // An action takes its turn, or it has ended.
        }
    }
}
