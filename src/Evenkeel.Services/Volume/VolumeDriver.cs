using System.Collections.Concurrent;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.Volumes;

namespace Evenkeel.Services.Volume;

/// <summary>
/// Runs volumes: each node with a leg serves it, the owner's node writes. Both are processes that the guard runs, so that I/O goes
/// on while the agent restarts; the writer dies with the volume's lease.
/// </summary>
public sealed class VolumeDriver : IServiceDriver
{
    private readonly IGuardLink _guard;
    private readonly VolumeSettings _settings;
    private readonly ConcurrentDictionary<string, VolumeInstance> _instances = new(StringComparer.Ordinal);

    public VolumeDriver(IGuardLink guard, VolumeSettings settings)
    {
        _guard = guard;
        _settings = settings;
        Directory.CreateDirectory(settings.LogDirectory);
        guard.Received += OnGuard;
    }

    public event Action<InstanceFacts>? Changed;

    /// <summary>A stranger at this node's leg of a volume: the volume, its address where known, and why it was turned away.</summary>
    public event Action<string, string?, string>? Refused;

    public Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation) => Instance(order.Spec.Resource.Name).StartAsync(order, cancellation);

    public Task<ActionResult> StopAsync(string service, CancellationToken cancellation) =>
        Find(service) is { } instance ? instance.StopAsync(cancellation) : Task.FromResult(ActionResult.Success);

    public Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation) =>
        Find(service) is { } instance ? instance.PromoteAsync(epoch, cancellation) : Task.FromResult(ActionResult.Failure($"no leg of {service} is served here"));

    public Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation) =>
        Find(service) is { } instance ? instance.DemoteAsync(cancellation) : Task.FromResult(ActionResult.Success);

    public IReadOnlyList<InstanceFacts> List() => [.. _instances.Values.Select(instance => instance.Facts)];

    /// <summary>What the writer of this node says of a volume; null when this node is not its writer.</summary>
    public WriterReport? WriterOf(string volume) => _instances.GetValueOrDefault(volume)?.WriterReport;

    /// <summary>Begins to compare all legs; the number under which <see cref="WriterReport.Verified"/> tells the end, or null when this node does not write it.</summary>
    public async Task<long?> VerifyAsync(string volume, bool repair) =>
        _instances.TryGetValue(volume, out var instance) ? await instance.VerifyAsync(repair).ConfigureAwait(false) : null;

    public async ValueTask DisposeAsync()
    {
        _guard.Received -= OnGuard;
        foreach (var instance in _instances.Values)
        {
            await instance.DisposeAsync().ConfigureAwait(false);
        }
    }

    private VolumeInstance Instance(string volume) => _instances.GetOrAdd(volume, name => new VolumeInstance(name, _guard, _settings, facts => Changed?.Invoke(facts), (from, reason) => Refused?.Invoke(name, from, reason)));

    private VolumeInstance? Find(string service) => VolumePlace.VolumeOf(service) is { } name ? _instances.GetValueOrDefault(name) : null;

    private void OnGuard(GuardMessage message)
    {
        switch (message)
        {
            case GuardHello hello:
                foreach (var running in hello.Instances.Where(running => running.Request.Driver == VolumePlace.Driver))
                {
                    if (VolumePlace.VolumeOf(running.Instance) is { } name)
                    {
                        Instance(name).OnAdopted(running);
                    }
                }

                foreach (var process in _instances.Values.SelectMany(instance => new[] { instance.Leg, instance.Writer }))
                {
                    if (process.Id is { } gone && hello.Instances.All(running => running.ProcessId != gone))
                    {
                        process.OnExited(gone, "ended with the guard that ran it");
                    }
                }

                break;
            case Launched launched when ProcessOf(launched.Instance) is { } process:
                process.OnLaunched(launched);
                break;
            case Exited exited when ProcessOf(exited.Instance) is { } process:
                process.OnExited(exited.ProcessId, exited.ExitCode > 128 ? $"was ended by signal {exited.ExitCode - 128}" : $"ended with exit code {exited.ExitCode}");
                break;
        }
    }

    private Process.GuardedProcess? ProcessOf(string instance) => VolumePlace.VolumeOf(instance) is { } name && _instances.TryGetValue(name, out var found)
        ? instance.EndsWith("/leg", StringComparison.Ordinal) ? found.Leg : found.Writer : null;
}
