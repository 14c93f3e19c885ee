using Evenkeel.Agent.Trust;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Agent.Host;

/// <summary>Gives the guard its configuration: the spec's guards and timings, with the ports and keys that only the host knows.</summary>
internal sealed class GuardConfigurator(
    AgentConfiguration configuration, ICoordinationStore store, Action<AgentMessage> send, Action<string> log, CancellationToken stopping)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(200);
    private int _newest;
    private ClusterSpec? _spec;
    private Configured? _confirmed;

    /// <summary>Raised when the guard has said which keys it has.</summary>
    public event Action? Confirmed;

    /// <summary>The keys that the guard has said it opens and seals with; null while this one has not.</summary>
    public Configured? Keys => Volatile.Read(ref _confirmed);

    public void Configure(ClusterSpec spec)
    {
        Volatile.Write(ref _spec, spec);
        _ = ConfigureAsync(spec, Interlocked.Increment(ref _newest));
    }

    /// <summary>The keys have changed: the guard is told, once it has been told anything.</summary>
    public void ConfigureAgain()
    {
        if (Volatile.Read(ref _spec) is { } spec)
        {
            Configure(spec);
        }
    }

    public void Hear(GuardMessage message)
    {
        // Another guard knows nothing yet.
        if (message is Configured or GuardHello)
        {
            Volatile.Write(ref _confirmed, message as Configured);
            Confirmed?.Invoke();
        }
    }

    private async Task ConfigureAsync(ClusterSpec spec, int number)
    {
        await Task.Yield();
        string? complaint = null;
        while (!stopping.IsCancellationRequested && number == Volatile.Read(ref _newest))
        {
            try
            {
                var ring = await GuardKeyRing.ReadAsync(store, configuration.Cluster, stopping).ConfigureAwait(false);
                var guards = spec.Nodes.Values
                    .Select(node => new GuardPeer(node.Name, [.. node.Private.Select(address => address.ToString())], PrivatePorts.Guard, node.Votes));
                if (number == Volatile.Read(ref _newest))
                {
                    send(new Configure(configuration.Cluster, configuration.Node, [.. guards], spec.Timings, ring.Keys) { SealingKey = ring.Seals });
                }

                return;
            }
            catch (Exception exception) when (exception is StoreUnavailableException or InvalidDataException)
            {
                if (exception.Message != complaint)
                {
                    log($"the guard cannot be configured yet: {exception.Message}");
                    complaint = exception.Message;
                }

                await Task.Delay(RetryDelay, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException)
            {
                return;
            }
        }
    }
}
