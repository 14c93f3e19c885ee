using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Host;

/// <summary>
/// A new cluster's first agents bring its file with them and commit it as soon as the store answers. All may try: the store
/// takes it once.
/// </summary>
internal static class FirstState
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(100);

    public static async Task EnsureAsync(AgentConfiguration configuration, ICoordinationStore store, Action<string> log, CancellationToken cancellation)
    {
        if (configuration.FirstFile is not { } file)
        {
            return;
        }

        if (ClusterFile.Read(file).Spec is not { } spec)
        {
            log($"the cluster's first file {file} has errors: evenkeel config check {file}");
            return;
        }

        var transaction = ClusterInitialState.First(SpecLocation.In(spec, configuration.WorkingDirectory), await File.ReadAllTextAsync(file, cancellation).ConfigureAwait(false));
        while (!cancellation.IsCancellationRequested)
        {
            var result = await store.CommitAsync(transaction, cancellation).ConfigureAwait(false);
            if (result.Outcome is CommitOutcome.Committed or CommitOutcome.Conflict)
            {
                return; // ours, or another agent's
            }

            await Task.Delay(RetryDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }
}
