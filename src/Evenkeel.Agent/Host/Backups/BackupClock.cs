using Evenkeel.Core.Backups;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>Tells the loop each second which backup tasks are due by this node's clock; the controller's loop makes use of it.</summary>
internal sealed class BackupClock(Func<(ClusterSpec? Spec, ClusterState State)> read, Action<AgentEvent> post, TimeProvider time)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);

    public async Task RunAsync(CancellationToken cancellation)
    {
        IReadOnlyList<DueBackup> last = [];
        using var timer = new PeriodicTimer(Period, time);
        try
        {
            do
            {
                var (spec, state) = read();
                IReadOnlyList<DueBackup> due = spec is null ? [] : [.. BackupJobs.Of(spec).SelectMany(job => state.Backups.TryGetValue(job.Key, out var record)
                    ? BackupCalendar.Due(job, record.Value, time.GetUtcNow()) : [])];
                if (!due.SequenceEqual(last))
                {
                    post(new BackupsDue(due));
                    last = due;
                }
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }
}
