using System.Collections.Concurrent;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host;

/// <summary>The drivers of this node, one for each kind of service; remembers which driver has which service.</summary>
internal sealed class DriverSet(IReadOnlyDictionary<Type, IServiceDriver> drivers) : IAsyncDisposable
{
    private readonly ConcurrentDictionary<string, IServiceDriver> _driverOf = new(StringComparer.Ordinal);

    public event Action<InstanceFacts>? Changed
    {
        add
        {
            foreach (var driver in drivers.Values)
            {
                driver.Changed += value;
            }
        }
        remove
        {
            foreach (var driver in drivers.Values)
            {
                driver.Changed -= value;
            }
        }
    }

    public IEnumerable<InstanceFacts> List() => drivers.Values.SelectMany(driver => driver.List());

    public async Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation)
    {
        if (!drivers.TryGetValue(order.Spec.Driver.GetType(), out var driver))
        {
            return ActionResult.Failure($"this node has no driver for {order.Spec.Driver.GetType().Name}");
        }

        _driverOf[order.Spec.Name] = driver;
        return await driver.StartAsync(order, cancellation).ConfigureAwait(false);
    }

    public Task<ActionResult> LookAsync(InstanceOrder order, CancellationToken cancellation) =>
        drivers.TryGetValue(order.Spec.Driver.GetType(), out var driver) ? driver.LookAsync(order, cancellation) : Task.FromResult(ActionResult.Success);

    public Task<ActionResult> StopAsync(string service, CancellationToken cancellation) =>
        On(service, driver => driver.StopAsync(service, cancellation), ActionResult.Success);

    public Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation) =>
        On(service, driver => driver.PromoteAsync(service, epoch, cancellation), ActionResult.Failure("it does not run here"));

    public Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation) =>
        On(service, driver => driver.DemoteAsync(service, cancellation), ActionResult.Success);

    public async ValueTask DisposeAsync()
    {
        foreach (var driver in drivers.Values)
        {
            await driver.DisposeAsync().ConfigureAwait(false);
        }
    }

    private async Task<ActionResult> On(string service, Func<IServiceDriver, Task<ActionResult>> act, ActionResult whenUnknown)
    {
        // After a restart of the agent, an instance that still runs is known to its driver only.
        var driver = _driverOf.GetValueOrDefault(service)
            ?? drivers.Values.FirstOrDefault(driver => driver.List().Any(instance => instance.Service == service));
        return driver is null ? whenUnknown : await act(driver).ConfigureAwait(false);
    }
}
