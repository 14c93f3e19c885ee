using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Volumes;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Local;

/// <summary>
/// A whole cluster on this one machine: every node an agent and a guard of its own. The launcher (this process) stands for
/// what is outside a node: the power switch, the service manager that restarts an agent, and for <c>up</c> the store.
/// Nothing is left behind when it is disposed: processes, files, addresses, namespaces.
/// </summary>
public abstract class MachineCluster(ClusterSpec spec, string source, string workingDirectory) : IAsyncDisposable
{
    private static readonly TimeSpan PollPeriod = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan StopPatience = TimeSpan.FromSeconds(10);
    private readonly Dictionary<NodeName, NodeProcesses> _nodes = [];
    private FileStream? _lock;

    /// <summary>The cluster's spec as it runs here.</summary>
    public ClusterSpec Spec => spec;
    /// <summary>The file's text, for people.</summary>
    protected string Source => source;
    protected string Directory { get; } = LocalPaths.Cluster(spec.Cluster);
    public IReadOnlyDictionary<NodeName, NodeProcesses> Nodes => _nodes;

    /// <exception cref="LocalClusterException">A cluster of this name runs already, or something it needs cannot be had.</exception>
    public async Task StartAsync(CancellationToken cancellation)
    {
        LocalPaths.CheckLength(spec.Cluster, spec.Nodes.Keys.Select(node => node.Value));
        System.IO.Directory.CreateDirectory(LocalPaths.RunDirectory);
        _lock = TakeLock();
        if (System.IO.Directory.Exists(Directory))
        {
            System.IO.Directory.Delete(Directory, recursive: true); // an earlier launcher was killed; its nodes ended with it
        }

        System.IO.Directory.CreateDirectory(Directory, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        await PrepareAsync(cancellation).ConfigureAwait(false);
        foreach (var node in spec.Nodes.Values)
        {
            var directory = LocalPaths.Node(spec.Cluster, node.Name.Value);
            System.IO.Directory.CreateDirectory(directory);
            var configuration = Configure(node, directory);
            var file = Path.Combine(directory, "agent.json");
            configuration.Save(file);
            _nodes[node.Name] = new NodeProcesses(
                node.Name.Value, CommandPrefix(node.Name), ProgramFile, file, configuration.GuardSocket, Path.Combine(directory, "agent.log"));
        }

        foreach (var node in _nodes.Values)
        {
            node.Start();
        }
    }

    /// <summary>As a power failure of the node.</summary>
    public virtual void Kill(NodeName node) => _nodes[node].Kill();

    /// <summary>Powers the node on, or wakes what was hung.</summary>
    public virtual void BringBack(NodeName node)
    {
        _nodes[node].SignalAll(Signals.Continue);
        if (_nodes[node].AgentId is null)
        {
            _nodes[node].Start();
        }
    }

    public virtual async ValueTask DisposeAsync()
    {
        await Task.WhenAll(_nodes.Values.Select(node => node.StopAsync(StopPatience))).ConfigureAwait(false);
        foreach (var node in _nodes.Keys)
        {
            Kill(node); // with whatever else a node is here
        }

        if (System.IO.Directory.Exists(Directory))
        {
            // A writer that was killed has shown its array here: that leads nowhere, but is in the directory's way.
            await VolumeMount.CleanUnderAsync(Directory).ConfigureAwait(false);
            System.IO.Directory.Delete(Directory, recursive: true);
        }

        if (_lock is not null)
        {
            await _lock.DisposeAsync().ConfigureAwait(false);
            File.Delete(LockFile);
        }

        GC.SuppressFinalize(this);
    }

    /// <summary>
    /// Every node lives, votes and is ready, every instance is healthy, every VIP is held. A node that came back but is
    /// quarantined for having been lost too often is resumed: its operator (we) knows why it was.
    /// </summary>
    public async Task WaitUntilWholeAsync(CancellationToken cancellation)
    {
        for (StatusReport? status; (status = await StatusAsync(cancellation).ConfigureAwait(false)) is null || !IsWhole(status);)
        {
            foreach (var node in status?.Nodes.Where(node => node is { Mode: NodeMode.Quarantined, Reach: Reach.Alive, Ready: true }) ?? [])
            {
                await ResumeAsync(node.Name, cancellation).ConfigureAwait(false);
            }

            await Task.Delay(PollPeriod, cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>The node that holds the first VIP's lease; null when none does.</summary>
    public async Task<NodeName?> FrontDoorOwnerAsync(CancellationToken cancellation) =>
        (await StatusAsync(cancellation).ConfigureAwait(false))?.Vips.FirstOrDefault(vip => vip.Held)?.Owner?.Node;

    /// <summary>As the controller's agent sees it, or the first that answers; null when none does.</summary>
    public async Task<StatusReport?> StatusAsync(CancellationToken cancellation)
    {
        StatusReport? any = null;
        foreach (var node in spec.Nodes.Keys.Where(node => _nodes[node].AgentId is not null))
        {
            var status = await ControlCalls.StatusAsync(LocalPaths.ControlSocket(spec.Cluster, node.Value), cancellation).ConfigureAwait(false);
            if (status?.Controller?.Node == node)
            {
                return status;
            }

            any ??= status;
        }

        return any;
    }

    public Task<string?> DrainAsync(NodeName node, CancellationToken cancellation) => SetModeAsync(node, NodeMode.Draining, cancellation);

    public Task<string?> ResumeAsync(NodeName node, CancellationToken cancellation) => SetModeAsync(node, NodeMode.Active, cancellation);

    public Task<string?> MoveAsync(ResourceId resource, NodeName to, CancellationToken cancellation) =>
        AskAnyAsync(socket => ControlCalls.MoveAsync(socket, resource, to, cancellation));

    private Task<string?> SetModeAsync(NodeName node, NodeMode mode, CancellationToken cancellation) =>
        AskAnyAsync(socket => ControlCalls.SetModeAsync(socket, node, mode, cancellation));

    private async Task<string?> AskAnyAsync(Func<string, Task<string?>> ask)
    {
        string? problem = "no agent answers";
        foreach (var asked in spec.Nodes.Keys.Where(asked => _nodes[asked].AgentId is not null))
        {
            problem = await ask(LocalPaths.ControlSocket(spec.Cluster, asked.Value)).ConfigureAwait(false);
            if (problem is null)
            {
                return null;
            }
        }

        return problem;
    }

    private static bool IsWhole(StatusReport status) =>
        status.Controller is not null
        && status.Nodes.All(node => node is { Reach: Reach.Alive, Ready: true, Mode: NodeMode.Active })
        && status.Vips.All(vip => vip.Held)
        && status.Services.All(service => service.Instances.Count(instance => instance.Health == Health.Healthy) >= service.Wanted);

    /// <summary>Networks, certificates, the store with the spec in it.</summary>
    protected abstract Task PrepareAsync(CancellationToken cancellation);

    protected abstract IReadOnlyList<string> CommandPrefix(NodeName node);

    protected abstract StoreKind StoreKind { get; }

    protected abstract IReadOnlyList<string> StoreEndpoints { get; }

    protected abstract string? PublicInterface { get; }

    /// <summary>Files applied later are mapped to loopback addresses, too.</summary>
    protected virtual bool MappedToLoopback => false;

    /// <summary>What the nodes run: this very program, unless another is named.</summary>
    public string ProgramFile { get; init; } = Path.Combine(AppContext.BaseDirectory, "evenkeel");

    private string LockFile => Path.Combine(LocalPaths.RunDirectory, spec.Cluster + ".lock");

    protected virtual AgentConfiguration Configure(NodeSpec node, string directory) => new()
    {
        Cluster = spec.Cluster,
        Node = node.Name,
        StateDirectory = directory,
        ControlSocket = LocalPaths.ControlSocket(spec.Cluster, node.Name.Value),
        GuardSocket = LocalPaths.GuardSocket(spec.Cluster, node.Name.Value),
        Private = [.. node.Private.Select(address => address.ToString())],
        Store = StoreKind,
        StoreEndpoints = StoreEndpoints,
        PublicInterface = node.Public is null ? null : PublicInterface,
        WorkingDirectory = workingDirectory,
        MappedToLoopback = MappedToLoopback,
    };

    private FileStream TakeLock()
    {
        try
        {
            return new FileStream(LockFile, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException exception)
        {
            throw new LocalClusterException(
                $"a cluster named '{spec.Cluster}' runs on this machine already (or its lock file cannot be taken: {exception.Message}); stop it, or change 'cluster:' in the file");
        }
    }
}
