using System.Collections.Concurrent;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Services.Ocf.Agents;
using Evenkeel.Services.Ocf.Attributes;
using Evenkeel.Services.Ocf.Hosting;
using Evenkeel.Services.Ocf.Tools;

namespace Evenkeel.Services.Ocf;

/// <summary>
/// Runs stock OCF resource agents unchanged. Each instance is a host that the guard starts; the agent's actions run as children
/// of it, so that what they leave behind dies with the lease (docs/decisions/ocf.md).
/// </summary>
public sealed class OcfDriver : IServiceDriver
{
    private readonly OcfSetting _setting;
    private readonly IAttributes _attributes;
    private readonly string _node;
    private readonly Lazy<HostServer> _server;
    private readonly ConcurrentDictionary<string, OcfInstance> _instances = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, RunningInstance> _leftovers = new(StringComparer.Ordinal);

    /// <param name="node">This node, as long as no order says otherwise.</param>
    /// <param name="guard">Starts, signals and reaps the hosts.</param>
    /// <param name="guardCommand">The guard's binary, whose mode the host is.</param>
    /// <param name="stateDirectory">Socket, tools, attributes and the agents' scratch directory are in its <c>ocf</c>.</param>
    /// <param name="attributes">Null to keep them in a file of this node.</param>
    /// <param name="root">OCF_ROOT.</param>
    public OcfDriver(NodeName node, IGuardLink guard, IReadOnlyList<string> guardCommand, string stateDirectory, IAttributes? attributes = null, string root = AgentName.StandardRoot)
    {
        _node = node.Value;
        var directory = Path.GetFullPath(Path.Combine(stateDirectory, "ocf"));
        var (tools, scratch, socket) = (Path.Combine(directory, "tools"), Path.Combine(directory, "run"), Path.Combine(directory, "socket"));
        _attributes = attributes ?? new AttributeFile(Path.Combine(directory, "attributes.json"));
        var desk = new ToolDesk(_attributes, View);
        // With the first resource: a node without any needs neither socket nor tools.
        _server = new Lazy<HostServer>(() =>
        {
            ToolFolder.Write(tools, guardCommand);
            Directory.CreateDirectory(scratch);
            return new HostServer(socket, desk.AnswerAsync);
        });
        _setting = new OcfSetting(guard, guardCommand, Path.Combine(stateDirectory, "logs"), new AgentDirectory(root),
            new ActionEnvironment(root, tools, scratch, socket), _attributes, _server);
        guard.Received += OnGuard;
    }

    public event Action<InstanceFacts>? Changed;

    public async Task<ActionResult> StartAsync(InstanceOrder order, CancellationToken cancellation)
    {
        try
        {
            return await Instance(order.Spec.Name).StartAsync(order, _leftovers.TryRemove(order.Spec.Name, out var left) ? left : null, cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or System.Net.Sockets.SocketException)
        {
            return ActionResult.Failure($"{order.Spec.Name}: {exception.Message}");
        }
    }

    public Task<ActionResult> StopAsync(string service, CancellationToken cancellation)
    {
        var left = _leftovers.TryRemove(service, out var found) ? found : null;
        return left is not null || _instances.ContainsKey(service)
            ? Instance(service).StopAsync(left, cancellation) : Task.FromResult(ActionResult.Success);
    }

    public Task<ActionResult> PromoteAsync(string service, Epoch epoch, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.PromoteAsync(epoch, cancellation)
            : Task.FromResult(ActionResult.Failure($"{service} does not run here"));

    public Task<ActionResult> DemoteAsync(string service, CancellationToken cancellation) =>
        _instances.TryGetValue(service, out var instance) ? instance.DemoteAsync(cancellation) : Task.FromResult(ActionResult.Success);

    public IReadOnlyList<InstanceFacts> List() => [.. _instances.Values.Select(instance => instance.Facts), .. _leftovers.Values.Select(Leftover)];

    public async ValueTask DisposeAsync()
    {
        _setting.Guard.Received -= OnGuard;
        foreach (var instance in _instances.Values)
        {
            await instance.DisposeAsync().ConfigureAwait(false);
        }

        if (_server.IsValueCreated)
        {
            await _server.Value.DisposeAsync().ConfigureAwait(false);
        }
    }

    private OcfInstance Instance(string service) => _instances.GetOrAdd(service, name => new OcfInstance(name, _setting, facts => Changed?.Invoke(facts)));

    private static InstanceFacts Leftover(RunningInstance left) =>
        new(left.Instance, InstanceStatus.Running, Core.Model.Health.Unknown) { Epoch = left.Lease?.Epoch, ProcessId = left.ProcessId, PromotionScore = InstanceFacts.NoPromotionScore };

    private ClusterView View()
    {
        var resources = _instances.Values.Select(instance => instance.Resource).OfType<ResourceContext>().ToList();
        var self = resources.FirstOrDefault()?.Node ?? _node;
        return new ClusterView(self, [.. resources.SelectMany(one => one.OtherNodes.Append(one.PromotedNode).OfType<string>()).Prepend(self).Distinct(StringComparer.Ordinal)],
            [.. resources.Select(one => new ResourceView(one.Service, one.Agent.ToString(), one.Promotable,
                [.. new[] { one.Node, one.Promoted ? one.Node : one.PromotedNode }.OfType<string>().Distinct(StringComparer.Ordinal)], one.Promoted ? one.Node : one.PromotedNode))]);
    }

    private void OnGuard(GuardMessage message)
    {
        switch (message)
        {
            case GuardHello hello:
                OnHello([.. hello.Instances.Where(one => one.Request.Driver == OcfSetting.DriverWord)]);
                break;
            case Launched launched when _instances.TryGetValue(launched.Instance, out var instance):
                instance.OnLaunched(launched);
                break;
            case Exited { Left: false } exited when _leftovers.TryRemove(exited.Instance, out _):
                Changed?.Invoke(new InstanceFacts(exited.Instance, InstanceStatus.Stopped, Core.Model.Health.Unknown));
                break;
            case Exited exited when _instances.TryGetValue(exited.Instance, out var ended):
                ended.OnExited(exited);
                break;
        }
    }

    private void OnHello(IReadOnlyList<RunningInstance> running)
    {
        _leftovers.Clear();
        foreach (var one in running)
        {
            if (_instances.TryGetValue(one.Instance, out var known))
            {
                known.OnStillThere(one);
            }
            else
            {
                _ = _server.Value; // Its host looks for us.
                _leftovers[one.Instance] = one;
                Changed?.Invoke(Leftover(one));
            }
        }

        foreach (var (name, instance) in _instances)
        {
            if (running.All(one => one.Instance != name))
            {
                instance.OnGone();
            }
        }
    }
}
