using System.Collections.Concurrent;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.Process;

/// <summary>
/// Runs services as processes. The guard starts them (they are its children, in their own cgroup), so that the agent can be
/// restarted without touching them; this driver decides what to start, checks it, restarts it, and stops it in order.
/// </summary>
public sealed class ProcessDriver : IServiceDriver
{
    private readonly IGuardLink _guard;
    private readonly string _logDirectory;
    private readonly ConcurrentDictionary<string, ProcessInstance> _instances = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Leftover> _leftovers = new(StringComparer.Ordinal);

    private sealed record Leftover(RunningInstance Running)
    {
        public TaskCompletionSource Ended { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <param name="guard">Starts, signals and reaps.</param>
    /// <param name="logDirectory">Where each service's output goes, as <c>SERVICE.log</c>.</param>
    public ProcessDriver(IGuardLink guard, string logDirectory)
    {
        _guard = guard;
        _logDirectory = logDirectory;
        Directory.CreateDirectory(logDirectory);
        guard.Received += OnGuard;
    }

    public event Action<InstanceFacts>? Changed;

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation)
    {
        var instance = _instances.AddOrUpdate(order.Spec.Name,
            name => new ProcessInstance(order, _guard, Path.Combine(_logDirectory, name + ".log"), MemoOf(name), Report),
            (name, running) => running.IsFor(order) ? running.Take(order) : running.ReplaceWith(order));
        return instance.StartAsync(_leftovers.TryRemove(order.Spec.Name, out var left) ? left.Running : null, cancellation);
    }

    public async Task<ActionResult> StopAsync(string service, CancellationToken cancellation)
    {
        if (_instances.TryGetValue(service, out var instance))
        {
            // Known until it has ended, for its exit is what the stop waits for.
            var stopped = await instance.StopAsync(cancellation).ConfigureAwait(false);
            if (stopped.Succeeded)
            {
                _instances.TryRemove(new KeyValuePair<string, ProcessInstance>(service, instance));
            }

            return stopped;
        }

        if (!_leftovers.TryGetValue(service, out var left))
        {
            return ActionResult.Success;
        }

        // Left by an earlier agent and not wanted any more; nothing is known of how it likes to stop.
        _guard.Send(new Signal(service, 9, Tree: true));
        try
        {
            await left.Ended.Task.WaitAsync(ProcessInstance.KillPatience, cancellation).ConfigureAwait(false);
            return ActionResult.Success;
        }
        catch (TimeoutException)
        {
            var reason = UnkillableProcess.Main(left.Running.ProcessId);
            var facts = FactsOf(left.Running);
            Report(facts with { Status = facts.Epoch is null ? InstanceStatus.Failed : InstanceStatus.Stuck, Health = Core.Model.Health.Unhealthy, Detail = reason });
            return ActionResult.Failure(reason);
        }
    }

    public Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.PromoteAsync(epoch, cancellation) : Task.FromResult(ActionResult.Failure($"{service} does not run here"));

    public Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.DemoteAsync(cancellation) : Task.FromResult(ActionResult.Failure($"{service} does not run here"));

    public IReadOnlyList<InstanceFacts> List() =>
    [
        .. _instances.Values.Select(instance => instance.Facts),
        .. _leftovers.Values.Select(left => FactsOf(left.Running)),
    ];

    public async ValueTask DisposeAsync()
    {
        _guard.Received -= OnGuard;
        foreach (var instance in _instances.Values)
        {
            await instance.DisposeAsync().ConfigureAwait(false);
        }
    }

    private RoleMemo MemoOf(string service) => new(Path.Combine(_logDirectory, service + ".role"));

    /// <summary>What an earlier agent left; a standby that it made the active one still is.</summary>
    private InstanceFacts FactsOf(RunningInstance left) => new(left.Instance, InstanceStatus.Running, Core.Model.Health.Unknown)
    {
        Epoch = left.Lease?.Epoch ?? MemoOf(left.Instance).Of(left.ProcessId), ProcessId = left.ProcessId,
    };

    private void OnGuard(GuardMessage message)
    {
        switch (message)
        {
            case GuardHello hello:
                _leftovers.Clear();
                foreach (var running in hello.Instances.Where(one => one.Request.Driver == "process"))
                {
                    if (_instances.TryGetValue(running.Instance, out var known))
                    {
                        known.OnAdopted(running);
                    }
                    else
                    {
                        _leftovers[running.Instance] = new Leftover(running);
                        Report(FactsOf(running));
                    }
                }

                foreach (var (name, instance) in _instances)
                {
                    if (hello.Instances.All(running => running.Instance != name))
                    {
                        instance.OnGone("the guard that ran it is gone");
                    }
                }

                break;
            case Launched launched when _instances.TryGetValue(launched.Instance, out var instance):
                instance.OnLaunched(launched);
                break;
            case Exited exited:
                if (_instances.TryGetValue(exited.Instance, out var ended))
                {
                    ended.OnExited(exited);
                }
                else if (!exited.Left && _leftovers.TryRemove(exited.Instance, out var left))
                {
                    left.Ended.TrySetResult();
                    Report(new InstanceFacts(exited.Instance, InstanceStatus.Stopped, Core.Model.Health.Unknown));
                }

                break;
        }
    }

    private void Report(InstanceFacts facts) => Changed?.Invoke(facts);
}
