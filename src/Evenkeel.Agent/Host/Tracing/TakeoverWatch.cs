using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Tracing;

/// <summary>
/// What comes after a decision, by looking: whether the new owner has it (its beats say so), and when the first client was
/// served. Looks only while a takeover is under way, so that neither beats nor requests pay for it.
/// </summary>
/// <param name="loop">The loop's knowledge.</param>
/// <param name="requests">Clients' requests and connections so far at the doors of a virtual IP.</param>
internal sealed class TakeoverWatch(LoopThread loop, Func<System.Net.IPAddress, long> requests, CancellationToken stopping)
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(60);
    private const int MostAtOnce = 256;
    private int _watching;

    /// <param name="ended">Told when, and why not where nobody had it in time.</param>
    public void Taken(ResourceId resource, Epoch epoch, NodeName owner, Action<DateTimeOffset, string?> ended) => Watch(async () =>
    {
        var taken = await UntilAsync(() => loop.Read(agent => agent.Known.FactsOf(owner) is { } facts && (resource.Kind == "vip"
            ? facts.Held.Any(held => held.Resource == resource && held.Epoch >= epoch)
            : facts.Instances.Any(one => one.Service == resource.Name && one.Status == InstanceStatus.Running && one.Epoch >= epoch && one.Health != Health.Unhealthy)))).ConfigureAwait(false);
        ended(DateTimeOffset.UtcNow, taken ? null : $"{owner} has not taken it over within {Longest.TotalSeconds:0} s");
    });

    /// <summary>Writes how long it took until a client was served at a virtual IP that has just come.</summary>
    public void FirstRequest(ResourceId vip, DateTimeOffset since, SpanWriter spans)
    {
        if (loop.Read(agent => agent.Known.Spec?.Vips.GetValueOrDefault(vip.Name)?.Address) is not { } address)
        {
            return;
        }

        var before = requests(address);
        Watch(async () =>
        {
            if (await UntilAsync(() => requests(address) != before).ConfigureAwait(false))
            {
                SpanWriter.Write(spans.Root, "first request", since, DateTimeOffset.UtcNow, [new("evenkeel.resource", vip.Value)]);
            }
        });
    }

    private void Watch(Func<Task> look)
    {
        if (Interlocked.Increment(ref _watching) > MostAtOnce)
        {
            Interlocked.Decrement(ref _watching);
            return;
        }

        _ = Task.Run(async () =>
        {
            try
            {
                await look().ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                // The agent stops.
            }
            finally
            {
                Interlocked.Decrement(ref _watching);
            }
        }, CancellationToken.None);
    }

    private async Task<bool> UntilAsync(Func<bool> so)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        limit.CancelAfter(Longest);
        using var timer = new PeriodicTimer(Look);
        try
        {
            do
            {
                if (so())
                {
                    return true;
                }
            }
            while (await timer.WaitForNextTickAsync(limit.Token).ConfigureAwait(false));
        }
        catch (OperationCanceledException) when (!stopping.IsCancellationRequested)
        {
            // Long enough.
        }

        return false;
    }
}
