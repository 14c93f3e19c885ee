using System.Collections.Concurrent;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Services.Fencing;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The other nodes' fence devices as this node reaches them: cuts a node off when the loop says so, and looks now and then
/// whether each device would answer, for one that is found dead in the hour of need is none.
/// </summary>
internal sealed class FenceDevices(NodeName self, Action<string> log, CancellationToken stopping)
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<NodeName, (FenceSpec Spec, CancellationTokenSource Watching)> _watched = new();
    private readonly ConcurrentDictionary<NodeName, IReadOnlyList<string>> _problems = new();

    /// <summary>What speaks against this node's being able to cut the other one off; empty is best, null when it was not looked at yet.</summary>
    public IReadOnlyList<string>? ProblemsOf(NodeName node) => _problems.GetValueOrDefault(node);

    /// <summary>Answered within the devices' own time limits. Switches the node on again where its spec says so.</summary>
    public async Task<FenceCompleted> CutOffAsync(FenceNode order)
    {
        await Task.Yield();
        log($"{order.Node} is being cut off by {order.Device.Agent}");
        var device = new FenceDevice(order.Node.Value, order.Device);
        try
        {
            var result = await device.OffAsync(stopping).ConfigureAwait(false);
            log(result.Reason);
            if (result.Confirmed && order.Device.PowerOn)
            {
                _ = SwitchOnAsync(device);
            }

            return new FenceCompleted(order.Node, order.Number, result.Confirmed, result.Reason);
        }
        catch (OperationCanceledException)
        {
            return new FenceCompleted(order.Node, order.Number, false, "the agent stopped meanwhile");
        }
    }

    /// <summary>Follows the committed spec until cancelled.</summary>
    public async Task FollowAsync(Func<Versioned<ClusterSpec>?> spec)
    {
        long seen = -1;
        using var timer = new PeriodicTimer(Period);
        try
        {
            do
            {
                if (spec() is { } committed && committed.Revision != seen)
                {
                    seen = committed.Revision;
                    Watch(committed.Value.Nodes.Values.Where(node => node.Name != self && node.Fence is not null).ToDictionary(node => node.Name, node => node.Fence!));
                }
            }
            while (await timer.WaitForNextTickAsync(stopping).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    private void Watch(IReadOnlyDictionary<NodeName, FenceSpec> devices)
    {
        foreach (var (node, watched) in _watched)
        {
            if (!devices.TryGetValue(node, out var spec) || !ReferenceEquals(spec, watched.Spec))
            {
                watched.Watching.Cancel();
                _watched.TryRemove(node, out _);
                _problems.TryRemove(node, out _);
            }
        }

        foreach (var (node, spec) in devices)
        {
            var watching = CancellationTokenSource.CreateLinkedTokenSource(stopping);
            if (_watched.TryAdd(node, (spec, watching)))
            {
                _ = new FenceDevice(node.Value, spec).WatchAsync(problems =>
                {
                    foreach (var problem in problems)
                    {
                        log($"fence device: {problem}");
                    }

                    _problems[node] = problems;
                }, watching.Token);
            }
        }
    }

    private async Task SwitchOnAsync(FenceDevice device)
    {
        try
        {
            log((await device.OnAsync(stopping).ConfigureAwait(false)).Reason);
        }
        catch (OperationCanceledException)
        {
            // The agent stops; the node stays off.
        }
    }
}
