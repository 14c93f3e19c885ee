using System.Collections.Concurrent;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Runs PostgreSQL (13 to 17) as a primary or as a standby of another node, and changes the one into the other. The guard runs
/// the servers, so that the agent can be restarted without touching them; what a server is, it says itself.
/// </summary>
public sealed class PostgreSqlDriver : IServiceDriver
{
    public const int StandardPort = Place.StandardPort;

    private readonly IGuardLink _guard;
    private readonly PostgreSqlSettings _settings;
    private readonly ConcurrentDictionary<string, PostgreSqlInstance> _instances = new(StringComparer.Ordinal);

    public PostgreSqlDriver(IGuardLink guard, PostgreSqlSettings settings)
    {
        _guard = guard;
        _settings = settings;
        Directory.CreateDirectory(settings.LogDirectory);
        guard.Received += OnGuard;
    }

    public event Action<InstanceFacts>? Changed;

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation) => Instance(order.Spec.Name).StartAsync(order, cancellation);

    public Task<ActionResult> LookAsync(InstanceOrder order, CancellationToken cancellation) => Instance(order.Spec.Name).LookAsync(order, cancellation);

    public Task<ActionResult> StopAsync(string service, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.StopAsync(cancellation) : Task.FromResult(ActionResult.Success);

    public Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.PromoteAsync(epoch, cancellation) : Task.FromResult(ActionResult.Failure($"{service} does not run here"));

    public Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.DemoteAsync(cancellation) : Task.FromResult(ActionResult.Success);

    public IReadOnlyList<InstanceFacts> List() => [.. _instances.Values.Select(instance => instance.Facts)];

    public async ValueTask DisposeAsync()
    {
        _guard.Received -= OnGuard;
        foreach (var instance in _instances.Values)
        {
            await instance.DisposeAsync().ConfigureAwait(false);
        }
    }

    private PostgreSqlInstance Instance(string service) => _instances.GetOrAdd(service, name => new PostgreSqlInstance(name, _guard, _settings, facts => Changed?.Invoke(facts)));

    private void OnGuard(GuardMessage message)
    {
        switch (message)
        {
            case GuardHello hello:
                foreach (var running in hello.Instances.Where(running => running.Request.Driver == Place.Driver))
                {
                    Instance(running.Instance).OnAdopted(running);
                }

                foreach (var (name, instance) in _instances)
                {
                    if (instance.Process.Id is { } gone && hello.Instances.All(running => running.Instance != name))
                    {
                        instance.Process.OnExited(gone, "the guard that ran it is gone");
                    }
                }

                break;
            case Launched launched when _instances.TryGetValue(launched.Instance, out var instance):
                instance.Process.OnLaunched(launched);
                break;
            case Exited { Left: true } left when _instances.TryGetValue(left.Instance, out var instance):
                instance.Process.OnLeft(left.ProcessId);
                break;
            case Exited exited when _instances.TryGetValue(exited.Instance, out var instance):
                instance.Process.OnExited(exited.ProcessId, exited.ExitCode > 128 ? $"ended by signal {exited.ExitCode - 128}" : $"ended with exit code {exited.ExitCode}");
                break;
        }
    }
}
