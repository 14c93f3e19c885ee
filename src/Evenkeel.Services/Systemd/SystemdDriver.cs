using System.Collections.Concurrent;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.Systemd;

/// <summary>
/// Runs services as systemd units: for cold and spread services, as units have no roles. systemd starts the processes, not the
/// guard, so that a unit does not end with its lease by itself: what is exclusive needs fencing beside it.
/// </summary>
public sealed class SystemdDriver : IServiceDriver
{
    private readonly Systemctl _systemctl;
    private readonly DropIn _dropIn;
    private readonly UnitMemory? _memory;
    private readonly TimeSpan _every;
    private readonly ConcurrentDictionary<string, SystemdInstance> _instances = new(StringComparer.Ordinal);

    /// <param name="every">Time between two looks at a unit; null for a second.</param>
    /// <param name="memory">What an earlier agent started is in it, and told by <see cref="List"/>; null for no memory.</param>
    public SystemdDriver(Systemctl? systemctl = null, DropIn? dropIn = null, TimeSpan? every = null, UnitMemory? memory = null)
    {
        _memory = memory;
        _systemctl = systemctl ?? new Systemctl();
        _dropIn = dropIn ?? new DropIn();
        _every = every ?? TimeSpan.FromSeconds(1);
        foreach (var left in memory?.All() ?? [])
        {
            Instance(left.Service).Adopt(left);
        }
    }

    public event Action<InstanceFacts>? Changed;

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation) =>
        Instance(order.Spec.Name).StartAsync(order, cancellation);

    public Task<ActionResult> StopAsync(string service, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.StopAsync(cancellation) : Task.FromResult(ActionResult.Success);

    public Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation) =>
        Task.FromResult(ActionResult.Failure("a systemd unit has no roles: write 'redundancy: cold', or use an OCF agent"));

    public Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation) => Task.FromResult(ActionResult.Success);

    public IReadOnlyList<InstanceFacts> List() => [.. _instances.Values.Select(instance => instance.Facts)];

    private SystemdInstance Instance(string service) =>
        _instances.GetOrAdd(service, name => new SystemdInstance(name, _systemctl, _dropIn, _memory, _every, facts => Changed?.Invoke(facts)));

    public async ValueTask DisposeAsync()
    {
        foreach (var instance in _instances.Values)
        {
            await instance.DisposeAsync().ConfigureAwait(false);
        }
    }
}
