using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Diagnostics;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host.Alerts;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Agent.Host.Metrics;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Guard;
using Evenkeel.PrivateConnection.Transport;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Evenkeel.Services.Ocf;
using Evenkeel.Services.Ocf.Attributes;
using Evenkeel.Services.PostgreSql;
using Evenkeel.Services.Process;
using Evenkeel.Services.Systemd;

namespace Evenkeel.Agent.Host;

/// <summary>The daemon: the decision loop with its drivers around it. Composes, wires, and stops in order; decides nothing.</summary>
public sealed class AgentHost(AgentConfiguration configuration, Action<string> log)
{
    private static readonly TimeSpan GuardPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HandOverPatience = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan HandOverPeriod = TimeSpan.FromMilliseconds(50);
    private const int PoolThreads = 32;

    /// <summary>
    /// Runs until <paramref name="stop"/>, then gives everything back, stops the node's services and its guard, and returns 0.
    /// At <paramref name="leave"/> it goes alone: guard, services and etcd run on, and the next agent adopts them.
    /// Before, its virtual IPs move elsewhere, where there is somewhere.
    /// Returns 1 when the loop failed: its state may be corrupt, and the guard closes the doors by itself.
    /// </summary>
    /// <exception cref="InvalidDataException">Certificates or configuration cannot be used.</exception>
    /// <exception cref="StateTooNewException">The cluster runs a later version, which this program does not understand.</exception>
    public async Task<int> RunAsync(CancellationToken stop, CancellationToken leave = default)
    {
        var manager = new ServiceManager(Environment.GetEnvironmentVariable, Environment.ProcessId, log);
        // A pool that grows by one thread each half second would make a short burst of blocking work look like a lost peer.
        ThreadPool.SetMinThreads(PoolThreads, PoolThreads);
        using var running = new CancellationTokenSource();
        using var certificate = NodeCertificate.Load(Path.Combine(configuration.StateDirectory, "tls"));
        LoopThread? loop = null;
        using var etcd = new ManagedEtcd(configuration, certificate, () => loop?.Read(agent => agent.Known.Spec), log);
        var measured = new RunningMetrics();
        await using var store = new MeasuredStore(StoreConnection.Open(configuration, certificate, log), measured.StoreTook);
        await using var guard = new ReconnectingGuard(ConnectGuardAsync, log);
        await using var transport = new TlsPeerTransport(certificate, [.. Addresses(configuration.Private)], log);
        await using var http = new HttpBalancer(new HttpBalancerOptions { Tell = log });
        await using var tcp = new TcpBalancer();
        var tls = Path.Combine(configuration.StateDirectory, "tls");
        await using var drivers = new DriverSet(new Dictionary<Type, IServiceDriver>
        {
            [typeof(ProcessDriverSpec)] = new ProcessDriver(guard, Path.Combine(configuration.StateDirectory, "logs")),
            [typeof(OcfDriverSpec)] = new OcfDriver(configuration.Node, guard, GuardProgram.FindOrName(), configuration.StateDirectory,
                new SharedAttributes(new AttributeFile(Path.Combine(configuration.StateDirectory, "ocf", "attributes.json")), store, configuration.Cluster,
                    [configuration.Node.Value, .. configuration.Private], Guid.NewGuid)),
            [typeof(SystemdDriverSpec)] = new SystemdDriver(memory: new UnitMemory(Path.Combine(configuration.StateDirectory, "systemd"))),
            [typeof(PostgreSqlDriverSpec)] = new PostgreSqlDriver(guard, new PostgreSqlSettings
            {
                LogDirectory = Path.Combine(configuration.StateDirectory, "logs"),
                Tls = new TlsFiles(Path.Combine(tls, NodeCertificate.AuthorityFile), Path.Combine(tls, NodeCertificate.CertificateFile), Path.Combine(tls, NodeCertificate.KeyFile)),
                PrivateAddresses = () => [.. loop!.Read(agent => agent.Known.State.Spec)?.Value.Nodes.Values.SelectMany(node => node.Private) ?? []],
            }),
        });
        using var events = new EventLog(Path.Combine(configuration.StateDirectory, "events.jsonl"), log);
        var doors = new FrontDoors(http, tcp, configuration.PublicInterface is not null, log, running.Token);
        var fences = new FenceDevices(configuration.Node, log, running.Token);
        var keys = new StateKeys(configuration.Cluster);
        var failure = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);

        void Post(AgentEvent happened) => loop!.Post(happened);
        void OnAnnounced(Announcement said)
        {
            measured.Happened(said);
            if (said.Kind == AnnouncementKind.VotingBegan)
            {
                ThreadPool.QueueUserWorkItem(_ =>
                {
                    Priority.Raise(Environment.ProcessId, log);
                    Priority.LockMemory();
                    etcd.Raise();
                });
            }
        }

        var feed = new StoreFeed(store, keys.Prefix, Post);
        var configurator = new GuardConfigurator(configuration, store, guard.Send, log, running.Token);
        var effects = new EffectRunner(store, keys.Prefix, transport, guard, drivers, doors, fences, configurator, events, feed.Reread, running.Token) { Post = Post, Announced = OnAnnounced, TooNew = format => failure.TrySetResult(new StateTooNewException(format)) };
        var seed = RandomNumberGenerator.GetBytes(16);
        var decisions = new AgentLoop(configuration.Cluster, configuration.Node, new RequestIds(new UInt128(BitConverter.ToUInt64(seed), BitConverter.ToUInt64(seed, 8))),
            new DoorPolicy(configuration.PublicInterface)) { Program = ProgramVersion.Current };
        var peers = new PeerDirectory(configuration.Node, transport);
        var warm = BalancerWarmUp.RunAsync(log, running.Token);
        // An agent that restarted and found leases held goes on with them at once.
        using var condition = new NodeCondition(configuration.PublicInterface,
            () => doors.Ready && ((warm.IsCompleted && loop!.Calm) || decisions.Guard.Leases.Count > 0));
        AgentEvent? Sense()
        {
            peers.Follow(decisions.Known.State.Spec);
            return condition.Sense();
        }

        using var owned = loop = new LoopThread(decisions, Sense, effects.CarryOut, exception => failure.TrySetResult(exception));

        transport.Received += (from, message) =>
        {
            if (BeatCodec.Decode(message) is { } beat)
            {
                Post(new BeatReceived(from, beat));
            }
        };
        guard.Received += message => Post(new GuardReceived(message));
        guard.Broken += reason => Post(new GuardBroken(reason));
        drivers.Changed += facts => Post(new InstanceChanged(facts));
        transport.Start();
        loop.Start();
        using var care = etcd.Member is null ? null : new EtcdCare(configuration, etcd.Member, etcd.Members!, certificate, store, () => owned.Read(agent => (agent.Known.Spec, agent.Known.State.Incarnation)), log);
        // What an earlier agent left and no guard tells of.
        foreach (var left in drivers.List())
        {
            Post(new InstanceChanged(left));
        }

        Task[] work =
        [
            etcd.RunAsync(running.Token),
            FirstState.EnsureAsync(configuration, store, log, running.Token),
            feed.RunAsync(running.Token),
            care?.RunAsync(etcd.Votes, running.Token) ?? Task.CompletedTask,
            new RevocationFeed(configuration, certificate, store, log).RunAsync(running.Token),
            guard.RunAsync(running.Token),
            fences.FollowAsync(() => loop.Read(agent => agent.Known.State.Spec)),
        ];
        IAsyncEnumerable<LogLine> OwnLogs(string service, int lines, bool follow, CancellationToken cancellation) =>
            ServiceLog.ReadAsync(ServiceLog.FileOf(configuration.StateDirectory, service), configuration.Node, lines, follow, cancellation);
        async Task OwnDiagnosticsAsync(Stream to, CancellationToken cancellation)
        {
            await using var archive = new BundleArchive(to);
            await new NodeDiagnostics(configuration).WriteAsync(archive, "", _ => { }, cancellation).ConfigureAwait(false);
        }

        await using var desk = await DeskServer.StartAsync(configuration.Private.Select(address => new IPEndPoint(IPAddress.Parse(address), PrivatePorts.Desk)),
            certificate, node => owned.Read(agent => agent.Known.Spec?.Nodes.ContainsKey(node) == true), OwnLogs, OwnDiagnosticsAsync, log).ConfigureAwait(false);
        var others = new DeskClient(certificate, [.. configuration.Private.Select(IPAddress.Parse)]);
        var logs = new ClusterLogs(configuration.Node, others, OwnLogs);
        var wall = new PrivateWall(configuration, log);
        ControlPlane? plane = null;
        await using var alerts = new AlertDesk(configuration, () => owned.Read(agent => agent.Known.State.Spec), token => plane!.GetStatusAsync(token), TimeProvider.System, log);
        plane = new ControlPlane(configuration, loop, store, fences, events, logs, configuration.Store == StoreKind.Remote ? "embedded" : "managed")
        {
            StoreConcerns = () => [.. etcd.Trouble is { } trouble ? [trouble] : Array.Empty<string>(), .. care?.Concerns ?? []],
            AlertProblems = () => alerts.Problems,
            OwnLimits = () => wall.Missing,
        };
        Task[] eyes = [alerts.RunAsync(running.Token), wall.FollowAsync(() => owned.Read(agent => agent.Known.State.Spec), running.Token)];
        var metrics = new MetricsEndpoint(measured, plane.GetStatusAsync, http.Snapshot);
        await using var scraped = configuration.Metrics is { } address
            ? await metrics.ListenAsync(address, configuration.Private.Select(IPAddress.Parse)).ConfigureAwait(false) : null;
        var trail = new AuditTrail(Path.Combine(configuration.StateDirectory, "audit.jsonl"), log);
        var audit = new AuditEndpoint(trail, configuration.Node);
        var office = EnrolmentOffice.Open(configuration, () => owned.Read(agent => agent.Known.Spec), trail, log);
        await using var enrolment = office is null ? null : await EnrolmentServer.StartAsync(
            configuration.Private.Select(own => new IPEndPoint(IPAddress.Parse(own), PrivatePorts.Enrolment)), certificate, office, log).ConfigureAwait(false);
        var removal = new NodeRemoval(configuration, etcd.Member is null ? null : etcd.OpenMembers, store,
            node => owned.Read(agent => (agent.Known.Spec?.Nodes.ContainsKey(node) == true, node == configuration.Node || agent.Known.IsAlive(node))), office, log);
        await using (await ControlServer.StartAsync(configuration.ControlSocket, plane, audit.Map, metrics.Map, new TokenEndpoint(office).Map, new AlertEndpoint(alerts).Map, removal.Map,
            new DiagnosticsEndpoint(others, () => owned.Read(agent => agent.Known.Spec)).Map).ConfigureAwait(false))
        {
            log($"agent of {configuration.Node} in cluster {configuration.Cluster} is up");
            manager.Ready($"node {configuration.Node} of cluster {configuration.Cluster}");
            var fed = manager.FeedWatchdogAsync(() => owned.Read(agent => agent.Known.Awake), running.Token);
            var ended = await Task.WhenAny(failure.Task, stop.AsTask(), leave.AsTask()).ConfigureAwait(false);
            manager.Stopping(leave.IsCancellationRequested ? "leaves; services run on" : "gives back what this node owns");
            if (ended != failure.Task && leave.IsCancellationRequested && !stop.IsCancellationRequested)
            {
                await HandOverAsync(loop).ConfigureAwait(false);
            }

            if (ended == failure.Task)
            {
                log($"the decision loop failed and must not go on: {await failure.Task.ConfigureAwait(false)}");
            }
        }

        if (!failure.Task.IsCompleted && !leave.IsCancellationRequested)
        {
            await StopGuardAsync(guard).ConfigureAwait(false);
        }

        await running.CancelAsync().ConfigureAwait(false);
        if (!leave.IsCancellationRequested)
        {
            await etcd.StopAsync(GuardPatience).ConfigureAwait(false);
        }

        await Task.WhenAll([.. work, .. eyes]).WaitAsync(GuardPatience, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (failure.Task.IsCompleted && await failure.Task.ConfigureAwait(false) is StateTooNewException tooNew)
        {
            throw tooNew;
        }

        return failure.Task.IsCompleted ? 1 : 0;
    }

    private async Task<IGuardLink> ConnectGuardAsync(CancellationToken cancellation) => await GuardClient.ConnectAsync(
        new GuardExecutable(GuardProgram.Find(), configuration.GuardSocket, configuration.StateDirectory, Path.Combine(configuration.StateDirectory, "guard.log")),
        cancellation).ConfigureAwait(false);

    /// <summary>The guard gives its leases back, stops what it runs, and ends; it is gone when its pipe breaks.</summary>
    private static async Task StopGuardAsync(ReconnectingGuard guard)
    {
        var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        guard.Broken += _ => gone.TrySetResult();
        guard.Shutdown();
        await gone.Task.WaitAsync(GuardPatience).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Waits until no virtual IP is here any more; no longer than moves in order take, for there may be nobody to take them.</summary>
    private static async Task HandOverAsync(LoopThread loop)
    {
        loop.Post(new RestartAnnounced());
        for (var clock = Stopwatch.StartNew(); clock.Elapsed < HandOverPatience && loop.Read(agent => agent.Guard.Leases.Keys.Any(resource => resource.Kind == "vip"));)
        {
            await Task.Delay(HandOverPeriod).ConfigureAwait(false);
        }

        // The last beats say so too, or peers would take what follows for a loss.
        await Task.Delay(HandOverPeriod).ConfigureAwait(false);
    }

    private static IEnumerable<PrivateEndpoint> Addresses(IEnumerable<string> addresses) =>
        addresses.Select(address => new PrivateEndpoint(IPAddress.Parse(address), PrivatePorts.Peer));
}
