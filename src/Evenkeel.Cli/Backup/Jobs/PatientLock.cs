using Evenkeel.Backup;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary>
/// A lock for what nobody waits for: others (a server that archives its log, another cluster's backup) come first, for a while.
/// </summary>
internal static class PatientLock
{
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(10);

    public static async Task<RepositoryLock> AcquireAsync(ResticRepository repository, bool exclusive, CancellationToken cancellation)
    {
        var since = TimeProvider.System.GetTimestamp();
        for (var pause = TimeSpan.FromMilliseconds(300); ; pause = pause * 2 < Longest ? pause * 2 : Longest)
        {
            try
            {
                return await RepositoryLock.AcquireAsync(repository, exclusive, cancellation).ConfigureAwait(false);
            }
            catch (RepositoryException e) when (e.Error == RepositoryError.Locked && TimeProvider.System.GetElapsedTime(since) < Patience)
            {
                // No backend tells when a lock goes: asked again, a little apart from others that wait.
                await Task.Delay(pause * (0.5 + Random.Shared.NextDouble()), cancellation).ConfigureAwait(false);
            }
        }
    }
}
