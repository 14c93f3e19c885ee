using System.Collections.Concurrent;

namespace Evenkeel.Agent.Host;

/// <summary>
/// What runs beside the decision loop for as long as the agent does. A part that is ended by an exception that nobody expected is told
/// of at once, in the log and to whom asks: else its silence would look like health.
/// </summary>
internal sealed class BackgroundWork(Action<string> log, CancellationToken running)
{
    private readonly List<Task> _parts = [];
    private readonly ConcurrentQueue<string> _failures = new();

    /// <summary>The parts that have ended so, in words.</summary>
    public IReadOnlyList<string> Failures => [.. _failures];

    /// <summary>Completes when every part has ended, however it did.</summary>
    public Task Ended => Task.WhenAll(_parts);

    /// <param name="what">What no longer happens once it has ended: "etcd is not watched any more".</param>
    public void Add(string what, Task part) => _parts.Add(FollowAsync(what, part));

    private async Task FollowAsync(string what, Task part)
    {
        try
        {
            await part.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (running.IsCancellationRequested)
        {
            // The agent stops.
        }
#pragma warning disable CA1031 // Whatever it is: the agent goes on without this part, and says so.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            // While the agent stops, parts lose what they work with.
            if (!running.IsCancellationRequested)
            {
                _failures.Enqueue($"{what} ({exception.GetType().Name}: {exception.Message})");
                log($"{what} until the agent is restarted: {exception}");
            }
        }
    }
}
