using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using Evenkeel.Agent.Api;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Diagnostics;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host.Alerts;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Agent.Host.Logging;
using Evenkeel.Agent.Host.Metrics;
using Evenkeel.Agent.Host.Roles;
using Evenkeel.Agent.Host.Tracing;
using Evenkeel.Agent.Preflight;
using Evenkeel.Agent.Host.VirtualIp;
using Evenkeel.Agent.Trust;
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
using Evenkeel.Services.Volume;
using Microsoft.Extensions.Logging;
using Microsoft.AspNetCore.Builder;

namespace Evenkeel.Agent.Host;

/// <summary>The daemon: the decision loop with its drivers around it. Composes, wires, and stops in order; decides nothing.</summary>
/// <param name="write">Takes the log's lines, from any thread.</param>
public sealed class AgentHost(AgentConfiguration configuration, Action<string> write)
{
    private static readonly TimeSpan GuardPatience = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan HandOverPatience = TimeSpan.FromSeconds(4);
    private static readonly TimeSpan HandOverPeriod = TimeSpan.FromMilliseconds(50);
    /// <summary>How long an agent that reads too old a format waits before it ends, to be started anew: what it refuses rarely changes.</summary>
    private static readonly TimeSpan RefusalPause = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan ConcernPeriod = TimeSpan.FromSeconds(1);
    private const int PoolThreads = 32;
    private Func<ClusterSpec?> _spec = () => null;
    private readonly TaskCompletionSource _departed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The node has left its cluster: its state is to be put away.</summary>
    public bool HasLeft => _departed.Task.IsCompleted;

    /// <summary>
    /// Runs until <paramref name="stop"/>, then gives everything back, stops the node's services and its guard, and returns 0.
    /// At <paramref name="leave"/> it goes alone: guard, services and etcd run on, and the next agent adopts them.
    /// Before, its virtual IPs move elsewhere, where there is somewhere.
    /// Returns 1 when the loop failed: its state may be corrupt, and the guard closes the doors by itself; etcd runs on, as after a crash.
    /// </summary>
    /// <exception cref="InvalidDataException">Certificates or configuration cannot be used.</exception>
    /// <exception cref="StateTooNewException">
    /// The cluster runs a later version, which this program does not understand. Everything was let go at once, but etcd: it is kept for
    /// <see cref="RefusalPause"/>, and runs on.
    /// </exception>
    public async Task<int> RunAsync(CancellationToken stop, CancellationToken leave = default)
    {
        using var journal = new AgentLog(write, TimeProvider.System);
        Action<string> log = journal.Agent.Tell;
        var manager = new ServiceManager(Environment.GetEnvironmentVariable, Environment.ProcessId, log);
        using var certificate = NodeCertificate.Load(Path.Combine(configuration.StateDirectory, "tls"));
        using var etcd = new ManagedEtcd(configuration, certificate, () => _spec(), journal.Store.Tell);
        using var watching = new CancellationTokenSource();
        var watched = new BackgroundWork(journal.Store.Tell, watching.Token);
        try
        {
            return await RunAsync(journal, manager, certificate, etcd, watched, watching, stop, leave).ConfigureAwait(false);
        }
        catch (StateTooNewException refusal)
        {
            if (!await PauseAsync(refusal, manager, log, etcd, stop, leave).ConfigureAwait(false))
            {
                throw;
            }

            return 0;
        }
        finally
        {
            await watching.CancelAsync().ConfigureAwait(false);
            await watched.Ended.WaitAsync(GuardPatience, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            // Told to stop before all of it was up, while it paused, or failed while it stopped: etcd goes all the same.
            if (stop.IsCancellationRequested && !leave.IsCancellationRequested)
            {
                await etcd.StopAsync(GuardPatience).ConfigureAwait(false);
            }
        }
    }

    // The vote of this node's etcd is needed by a majority that does understand the state, so etcd goes on; and an agent that came back
    // twice a second for ever would find nothing else. It does come back: the next one may be of the right version, or the store restored.
    private static async Task<bool> PauseAsync(
        StateTooNewException refusal, ServiceManager manager, Action<string> log, ManagedEtcd etcd, CancellationToken stop, CancellationToken leave)
    {
        log($"refused: {refusal.Message}. Nothing is decided, started or stopped here{(etcd.Member is null ? "" : "; etcd runs on")}");
        manager.Say($"refused: {refusal.Message}");
        using var pause = CancellationTokenSource.CreateLinkedTokenSource(stop, leave);
        pause.CancelAfter(RefusalPause);
        await manager.FeedWatchdogAsync(() => { }, pause.Token).ConfigureAwait(false);
        await Task.Delay(Timeout.InfiniteTimeSpan, pause.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        return stop.IsCancellationRequested || leave.IsCancellationRequested;
    }

    private async Task<int> RunAsync(
        AgentLog journal, ServiceManager manager, NodeCertificate certificate, ManagedEtcd etcd, BackgroundWork watched, CancellationTokenSource watching, CancellationToken stop, CancellationToken leave)
    {
        Action<string> log = journal.Agent.Tell;
        // A pool that grows by one thread each half second would make a short burst of blocking work look like a lost peer.
        ThreadPool.SetMinThreads(PoolThreads, PoolThreads);
        using var running = new CancellationTokenSource();
        LoopThread? loop = null;
        TrustKeeper? keeper = null;
        _spec = () => loop?.Read(agent => agent.Known.Spec);
        var measured = new RunningMetrics();
        await using var store = new MeasuredStore(StoreConnection.Open(configuration, certificate, journal.Store.Tell), (operation, time, answered) =>
        {
            measured.StoreTook(operation, time, answered);
            if (journal.Store.IsOn(LogLevel.Debug))
            {
                journal.Store.Tell(LogLevel.Debug, $"{operation} took {time.TotalMilliseconds:0.0} ms{(answered ? "" : ", without a sure answer")}");
            }
        });
        await using var guard = new ReconnectingGuard(ConnectGuardAsync, journal.Guard.Tell);
        var trail = new AuditTrail(Path.Combine(configuration.StateDirectory, "audit.jsonl"), log);
        var refusals = new RefusalTrail(trail, configuration.Node, TimeProvider.System, log);
        void Refused(string? from, string reason) => refusals.Add("the private connection", from, reason);
        await using var transport = new TlsPeerTransport(certificate, [.. Addresses(configuration.Private)], journal.Private.Tell) { Refused = Refused };
        await using var http = new HttpBalancer(new HttpBalancerOptions { Tell = journal.Public.Tell });
        await using var tcp = new TcpBalancer();
        var tls = Path.Combine(configuration.StateDirectory, "tls");
        var volumes = new VolumeDriver(guard, new VolumeSettings
        {
            Program = Environment.ProcessPath is { } program && Path.GetFileNameWithoutExtension(program) != "dotnet" ? program : Path.Combine(AppContext.BaseDirectory, "evenkeel"),
            RunDirectory = Path.Combine(configuration.StateDirectory, "vol"),
            LogDirectory = Path.Combine(configuration.StateDirectory, "logs"),
            Certificates = tls,
            AddressesOf = node => [.. loop!.Read(agent => agent.Known.Spec)?.Nodes.GetValueOrDefault(node)?.Private.Select(address => address.ToString()) ?? []],
        });
        volumes.Refused += (volume, from, reason) => refusals.Add($"the leg of {volume}", from, reason);
        await using var drivers = new DriverSet(new Dictionary<Type, IServiceDriver>
        {
            [typeof(ProcessDriverSpec)] = new ProcessDriver(guard, Path.Combine(configuration.StateDirectory, "logs")),
            [typeof(VolumeDriverSpec)] = volumes,
            [typeof(OcfDriverSpec)] = new OcfDriver(configuration.Node, guard, GuardProgram.FindOrName(), configuration.StateDirectory,
                new SharedAttributes(new AttributeFile(Path.Combine(configuration.StateDirectory, "ocf", "attributes.json")), store, configuration.Cluster,
                    [configuration.Node.Value, .. configuration.Private], Guid.NewGuid)),
            [typeof(SystemdDriverSpec)] = new SystemdDriver(memory: new UnitMemory(Path.Combine(configuration.StateDirectory, "systemd"))),
            [typeof(PostgreSqlDriverSpec)] = new PostgreSqlDriver(guard, new PostgreSqlSettings
            {
                LogDirectory = Path.Combine(configuration.StateDirectory, "logs"),
                Program = OwnProgram.Quoted,
                Tls = new TlsFiles(Path.Combine(tls, NodeCertificate.AuthorityFile), Path.Combine(tls, NodeCertificate.CertificateFile), Path.Combine(tls, NodeCertificate.KeyFile)),
                PrivateAddresses = () => [.. loop!.Read(agent => agent.Known.State.Spec)?.Value.Nodes.Values.Where(node => keeper?.IsRemoved(node.Name) != true).SelectMany(node => node.Private) ?? []],
                IsRemoved = node => keeper?.IsRemoved(node) == true,
            }),
        });
        using var events = new EventLog(Path.Combine(configuration.StateDirectory, "events.jsonl"), log, (logged, line) => TellEvent(journal.Events, logged, line));
        var doors = new FrontDoors(http, tcp, configuration.PublicInterface is not null, journal.Public.Tell, running.Token);
        var fences = new FenceDevices(configuration.Node, journal.Fencing.Tell, running.Token);
        var keys = new StateKeys(configuration.Cluster);
        var failure = new TaskCompletionSource<Exception>(TaskCreationOptions.RunContinuationsAsynchronously);

        Telemetry? telemetry = null;
        void Post(AgentEvent happened) => loop!.Post(happened);
        void OnAnnounced(Announcement said)
        {
            measured.Happened(said);
            telemetry?.Happened(said);
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
        var backups = new BackupRunner(configuration, OwnProgram.Command, Post, log, running.Token);
        var effects = new EffectRunner(store, keys.Prefix, transport, guard, drivers, doors, fences, backups, configurator, events, feed.Reread, running.Token) { Post = Post, Announced = OnAnnounced, TooNew = format => failure.TrySetResult(new StateTooNewException(format)) };
        var seed = RandomNumberGenerator.GetBytes(16);
        var decisions = new AgentLoop(configuration.Cluster, configuration.Node, new RequestIds(new UInt128(BitConverter.ToUInt64(seed), BitConverter.ToUInt64(seed, 8))),
            new DoorPolicy(configuration.PublicInterface)) { Program = ProgramVersion.Current };
        var peers = new PeerDirectory(configuration.Node, transport);
        var rehearsed = DecisionWarmUp.RunAsync(log);
        var warm = BalancerWarmUp.RunAsync(log, running.Token);
        // An agent that restarted and found leases held goes on with them at once.
        using var hooks = new VipHooks(configuration, () => loop!.Read(HeldHere), TimeProvider.System, log);
        using var condition = new NodeCondition(configuration.PublicInterface, () => hooks.Reachable,
            () => doors.Ready && ((warm.IsCompleted && loop!.Calm) || decisions.Guard.Leases.Count > 0), () => doors.Finishing, () => doors.Shut);
        AgentEvent? Sense()
        {
            peers.Follow(decisions.Known.State.Spec);
            return condition.Sense();
        }

        using var owned = loop = new LoopThread(decisions, Sense, effects.CarryOut, exception => failure.TrySetResult(exception), journal.Loop);

        FailoverTracer Tracer() => new(configuration.Cluster, configuration.Node, node => owned.Read(agent => node == configuration.Node ? agent.Guard.Session : agent.Known.FactsOf(node)?.Guard ?? default),
            new TakeoverWatch(owned, address => http.Snapshot().Doors.Where(door => door.Listen.Address.Equals(address)).Sum(door => door.Requests)
                + tcp.Snapshot().Doors.Where(door => door.Listen.Address.Equals(address)).Sum(door => door.Accepted), running.Token));
        using var traces = telemetry = new Telemetry(configuration, Tracer, log);
        transport.Received += (from, message) =>
        {
            if (BeatCodec.Decode(message) is { } beat)
            {
                Post(new BeatReceived(from, beat));
            }
        };
        guard.Received += message =>
        {
            if (journal.Guard.IsOn(message is GuardBeat ? LogLevel.Trace : LogLevel.Debug))
            {
                journal.Guard.Tell(message is GuardBeat ? LogLevel.Trace : LogLevel.Debug, message.ToString());
            }

            telemetry.Heard(message);
            configurator.Hear(message);
            Post(new GuardReceived(message));
        };
        guard.Broken += reason => Post(new GuardBroken(reason));
        drivers.Changed += facts => Post(new InstanceChanged(facts));
        watched.Add("etcd is not watched any more", etcd.RunAsync(watching.Token));
        // What it decides with is compiled by then: each of its steps is a quick one from the first on.
        await rehearsed.ConfigureAwait(false);
        transport.Start();
        loop.Start();
        using var care = etcd.Member is null ? null : new EtcdCare(configuration, etcd.Member, etcd.Members!, certificate, store, () => owned.Read(agent => (agent.Known.Spec, agent.Known.State.Incarnation)), journal.Store.Tell,
            words => events.Add(new Announcement(AnnouncementKind.StoreWarning, words, null, configuration.Node, null, SystemClock.Now)));
        // What an earlier agent left and no guard tells of.
        foreach (var left in drivers.List())
        {
            Post(new InstanceChanged(left));
        }

        using var revocations = new RevocationFeed(configuration, certificate, store, log);
        var work = new BackgroundWork(log, running.Token);
        work.Add("the store's first state is not written", FirstState.EnsureAsync(configuration, store, log, running.Token));
        work.Add("the store is not read any more", feed.RunAsync(running.Token));
        work.Add("etcd is not looked after any more", care?.RunAsync(etcd.Votes, running.Token) ?? Task.CompletedTask);
        work.Add("etcd's disk is not watched any more", care?.WatchDiskAsync(running.Token) ?? Task.CompletedTask);
        work.Add("revoked certificates are not heard of any more", revocations.RunAsync(running.Token));
        if (etcd.Member is { } member)
        {
            work.Add("etcd's log is not read or cut any more", new EtcdRefusals(member.LogFile, (from, reason) => refusals.Add("etcd", from, reason)).RunAsync(running.Token));
        }

        work.Add("a guard that is lost is not sought any more", guard.RunAsync(running.Token));
        work.Add("hooks of virtual IPs are not run any more", hooks.FollowAsync(running.Token));
        work.Add("fence devices are not tried any more", fences.FollowAsync(() => loop.Read(agent => agent.Known.State.Spec)));
        work.Add("traces are not sent any more", traces.FollowAsync(() => loop.Read(agent => agent.Known.State.Spec), running.Token));
        work.Add("no backup becomes due any more", new BackupClock(() => owned.Read(agent => (agent.Known.Spec, agent.Known.State)), Post, TimeProvider.System).RunAsync(running.Token));
        IAsyncEnumerable<LogLine> OwnLogs(string service, int lines, bool follow, CancellationToken cancellation) =>
            ServiceLog.ReadAsync(ServiceLog.FileOf(configuration.StateDirectory, service), configuration.Node, lines, follow, cancellation);
        async Task OwnDiagnosticsAsync(Stream to, CancellationToken cancellation)
        {
            await using var archive = new BundleArchive(to);
            await new NodeDiagnostics(configuration).WriteAsync(archive, "", _ => { }, cancellation).ConfigureAwait(false);
        }

        using var looks = new PreflightDesk(configuration, owned);
        var shelf = new AuthorityShelf(configuration.StateDirectory);
        var office = new EnrolmentOffice(configuration, certificate, shelf, () => keeper?.Authority?.Issuing, () => owned.Read(agent => agent.Known.Spec), trail, refusals, log);
        var others = new DeskClient(certificate, [.. configuration.Private.Select(IPAddress.Parse)]);
        var renewal = new CertificateRenewal(configuration, certificate, office, others,
            () => owned.Read(agent => agent.Known.Spec)?.Nodes.Values.Where(node => node.Name != configuration.Node).ToList(), TimeProvider.System, log);
        using var etcdTrust = new EtcdTrust(configuration, etcd, certificate, store, log);
        using var ownedKeeper = keeper = new TrustKeeper(new TrustParts(configuration, certificate, store, shelf, office.Issued, renewal, etcdTrust, () => etcd.Trusted, configurator, revocations,
            () => owned.Read(agent => agent.Known.Spec?.Nodes.Keys.Where(node => node == configuration.Node || agent.Known.IsAlive(node)).ToList()),
            () => owned.Read(agent => agent.Known.State.Controller?.Value.Node == configuration.Node), log));
        await using var desk = await DeskServer.StartAsync(configuration.Private.Select(address => new IPEndPoint(IPAddress.Parse(address), PrivatePorts.Desk)),
            certificate, node => owned.Read(agent => agent.Known.Spec?.Nodes.ContainsKey(node) == true), OwnLogs, OwnDiagnosticsAsync, office.Renew, Refused, journal.Private.Tell, looks.MapOwn).ConfigureAwait(false);
        var logs = new ClusterLogs(configuration.Node, others, OwnLogs);
        var wall = new PrivateWall(configuration, log);
        ControlPlane? plane = null;
        Func<string?> apiProblem = () => null;
        await using var alerts = new AlertDesk(configuration, () => owned.Read(agent => agent.Known.State.Spec), token => plane!.GetStatusAsync(token), TimeProvider.System, journal.Alerts.Tell);
        plane = new ControlPlane(configuration, loop, store, fences, events, logs, configuration.Store switch { StoreKind.Remote => "embedded", StoreKind.External => "external", _ => "managed" })
        {
            AlertProblems = () => alerts.Problems,
            OwnLimits = () => GuardProgram.IsReplaced(owned.Read(agent => agent.Guard.ProcessId)) ? [GuardProgram.Outdated] : [],
        };
        // The worst first: beats carry ten.
        IReadOnlyList<NodeConcern> Concerns() =>
        [
            .. watched.Failures.Concat(work.Failures).Select(failure => new NodeConcern(NodeConcern.AgentPartFailed, failure)),
            .. etcd.Trouble is { } trouble ? [new NodeConcern(NodeConcern.EtcdDown, trouble)] : Array.Empty<NodeConcern>(),
            .. care?.Concerns ?? [], .. keeper.Concerns,
            .. apiProblem() is { } served ? [new NodeConcern(NodeConcern.ApiNotServed, $"the control API is not served over TLS: {served}")] : Array.Empty<NodeConcern>(),
            .. wall.Missing is { } missing ? [missing] : Array.Empty<NodeConcern>(),
        ];
        work.Add("what is the matter here is not told any more", TellConcernsAsync(Concerns, concerns => Post(new ConcernsChanged(concerns)), running.Token));
        work.Add("nobody is told of alerts any more", alerts.RunAsync(running.Token));
        work.Add("the private networks' wall is not kept any more", wall.FollowAsync(() => owned.Read(agent => agent.Known.State.Spec), running.Token));
        var metrics = new MetricsEndpoint(measured, plane.GetStatusAsync, http.Snapshot, tcp.Snapshot,
            () => new NodeDates(certificate.Own.NotAfter, certificate.Authorities[^1].NotAfter, care is not null, care?.LastSnapshot));
        await using var scraped = configuration.Metrics is { } address
            ? await metrics.ListenAsync(address, configuration.Private.Select(IPAddress.Parse)).ConfigureAwait(false) : null;
        var roles = new RoleEndpoint(configuration.Node, service => owned.Read(agent => RoleReading.Of(agent, service)));
        await using var asked = configuration.Roles is { } door ? await roles.ListenAsync(door).ConfigureAwait(false) : null;
        var audit = new AuditEndpoint(trail, configuration.Node);
        await using var enrolment = new EnrolmentDoor(configuration, certificate, office, log);
        var trust = new TrustEndpoint(configuration, certificate, shelf, keeper);
        var removal = new NodeRemoval(configuration, etcd.Member is null ? null : etcd.OpenMembers, store,
            node => owned.Read(agent => (agent.Known.Spec?.Nodes.ContainsKey(node) == true, node == configuration.Node || agent.Known.IsAlive(node))), office, trust.RenewGuardKeysAsync, log);
        var leaving = new NodeLeave(configuration, etcd, certificate, shelf, store,
            () => owned.Read(agent => agent.Known.Spec is { } spec ? (spec.Voters.ToList(), spec.Voters.Where(agent.Known.IsAlive).ToList()) : ((IReadOnlyList<NodeName>, IReadOnlyList<NodeName>)?)null),
            () => owned.Read(agent => (IReadOnlyList<string>)[.. agent.Known.State.Ownerships.Where(one => one.Value.Value.Current?.Node == configuration.Node).Select(one => one.Key.Value)]),
            trust.RenewGuardKeysAsync, () => _departed.TrySetResult(), log);
        work.Add("certificates and keys are not kept any more", keeper.RunAsync(running.Token));
        work.Add("the door for new nodes does not follow the file any more", enrolment.FollowAsync(running.Token));
        var tokens = new ApiTokens(store, configuration.Cluster, TimeProvider.System);
        List<Action<WebApplication>> routes =
        [
            audit.Map, metrics.Map, roles.Map, new TokenEndpoint(office).Map, new AlertEndpoint(alerts).Map, removal.Map, trust.Map, leaving.Map, new ApiTokenEndpoint(tokens).Map, OpenApiDocument.Map,
            new DiagnosticsEndpoint(others, () => owned.Read(agent => agent.Known.Spec)).Map, new ClusterPreflight(looks, others).Map,
            new BackupEndpoint(configuration.Cluster, () => owned.Read(agent => agent.Known.State), store).Map,
            new VolumeEndpoint(volumes, () => owned.Read(agent => agent.Known.State), configuration.Node).Map,
            new LogEndpoint(journal, configuration.Node).Map, new GuardEndpoint(guard, owned, configuration.Node).Map,
        ];
        await using var api = new ApiServer(configuration.Node, certificate, new ApiGate(tokens, refusals), application => ControlServer.Map(application, plane, routes), log);
        apiProblem = () => api.Problem;
        work.Add("tokens of the API are not read any more", tokens.RunAsync(running.Token));
        work.Add("the API does not follow the file any more", api.FollowAsync(() => owned.Read(agent => agent.Known.Spec), running.Token));
        await using (await ControlServer.StartAsync(configuration.ControlSocket, plane, routes).ConfigureAwait(false))
        {
            log($"agent of {configuration.Node} in cluster {configuration.Cluster} is up");
            manager.Ready($"node {configuration.Node} of cluster {configuration.Cluster}");
            var fed = manager.FeedWatchdogAsync(() => owned.Read(agent => agent.Known.Awake), running.Token);
            var ended = await Task.WhenAny(failure.Task, stop.AsTask(), leave.AsTask(), _departed.Task).ConfigureAwait(false);
            manager.Stopping(leave.IsCancellationRequested ? "leaves; services run on" : "gives back what this node owns");
            if (ended != failure.Task && leave.IsCancellationRequested && !stop.IsCancellationRequested)
            {
                await HandOverAsync(loop).ConfigureAwait(false);
            }

            if (ended == failure.Task && await failure.Task.ConfigureAwait(false) is not StateTooNewException)
            {
                log($"the decision loop failed and must not go on: {await failure.Task.ConfigureAwait(false)}");
            }
        }

        if (!failure.Task.IsCompleted && !leave.IsCancellationRequested)
        {
            await StopGuardAsync(guard).ConfigureAwait(false);
        }

        await running.CancelAsync().ConfigureAwait(false);
        // After a failure it runs on: to take its vote away at each of the restarts that follow would cost the others their majority.
        if ((!failure.Task.IsCompleted || stop.IsCancellationRequested) && !leave.IsCancellationRequested)
        {
            await watching.CancelAsync().ConfigureAwait(false);
            await etcd.StopAsync(GuardPatience).ConfigureAwait(false);
        }

        _spec = () => null;
        await work.Ended.WaitAsync(GuardPatience, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (failure.Task.IsCompleted && await failure.Task.ConfigureAwait(false) is StateTooNewException tooNew)
        {
            throw tooNew;
        }

        return failure.Task.IsCompleted ? 1 : 0;
    }

    private static async Task TellConcernsAsync(Func<IReadOnlyList<NodeConcern>> read, Action<IReadOnlyList<NodeConcern>> changed, CancellationToken cancellation)
    {
        IReadOnlyList<NodeConcern> last = [];
        using var timer = new PeriodicTimer(ConcernPeriod);
        do
        {
            if (read() is var now && !now.SequenceEqual(last))
            {
                changed(last = now);
            }
        }
        while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
    }

    private static void TellEvent(LogCategory category, LoggedEvent logged, string line)
    {
        // The line itself stays as it is: people and scripts look for it.
        var severity = EventWords.Severity(logged.Kind);
        if (category.IsOn(severity switch { EventSeverity.Problem => LogLevel.Error, EventSeverity.Warning => LogLevel.Warning, _ => LogLevel.Information }))
        {
            category.Write(line);
        }
    }

    private async Task<IGuardLink> ConnectGuardAsync(CancellationToken cancellation)
    {
        var unit = GuardProgram.StartedBy();
        return await GuardClient.ConnectAsync(
            new GuardExecutable(unit ?? GuardProgram.Find(), configuration.GuardSocket, configuration.StateDirectory, Path.Combine(configuration.StateDirectory, "guard.log"), unit is not null),
            cancellation).ConfigureAwait(false);
    }

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

    private static (ClusterSpec?, IReadOnlyDictionary<string, Epoch>) HeldHere(AgentLoop agent) => (agent.Known.Spec,
        agent.Guard.Leases.Values.Where(lease => lease is { Resource.Kind: "vip", Phase: LeasePhase.Held }).ToDictionary(lease => lease.Resource.Name, lease => lease.Epoch));

    private static IEnumerable<PrivateEndpoint> Addresses(IEnumerable<string> addresses) =>
        addresses.Select(address => new PrivateEndpoint(IPAddress.Parse(address), PrivatePorts.Peer));
}
