using System.Net;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Host;

/// <summary>
/// This node's member of the managed etcd: it begins the cluster or joins it as a learner, runs with the cluster's certificates on
/// the private address, is started again when it ends, and adopted by an agent that was restarted. Does nothing on nodes that do
/// not vote.
/// </summary>
internal sealed class ManagedEtcd : IDisposable
{
    private static readonly TimeSpan Watch = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan RestartPatience = TimeSpan.FromSeconds(20);
    private static readonly TimeSpan JoinDelay = TimeSpan.FromMilliseconds(300);
    /// <summary>How often a member that has its place looks whether the others have changed.</summary>
    private static readonly TimeSpan SettledDelay = TimeSpan.FromSeconds(5);

    private readonly AgentConfiguration _configuration;
    private readonly Action<string> _log;
    private readonly NodeCertificate _certificate;
    private readonly Func<ClusterSpec?> _spec;
    private readonly EtcdMember? _founder;
    private readonly EtcdMembership? _members;
    private EtcdProcess? _process;
    private readonly TaskCompletionSource _votes = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private HashSet<string> _writtenMembers = [];
    private TaskCompletionSource? _restart;
    private volatile bool _left;
    private volatile bool _raised;
    private string? _lastSaid;
    private volatile string? _trouble;
    private bool _groupTold;

    /// <param name="spec">The committed one; null while it is not known.</param>
    public ManagedEtcd(AgentConfiguration configuration, NodeCertificate certificate, Func<ClusterSpec?> spec, Action<string> log)
    {
        (_configuration, _certificate, _spec, _log) = (configuration, certificate, spec, log);
        _founder = MemberOf(configuration) is { } member ? member with { RevocationList = certificate.Revoked.EnsureCrl(), OwnGroup = true } : null;
        _members = _founder is null ? null : Open(configuration.StoreMembers);
    }

    /// <summary>A connection to the members where the file puts them today; the caller's to dispose.</summary>
    public EtcdMembership OpenMembers() => Open(Today());

    /// <summary>The members as this node reaches them; null on nodes that do not vote.</summary>
    public EtcdMembership? Members => _members;

    public EtcdMember? Member => _founder;

    /// <summary>Completes once this node's member votes.</summary>
    public Task Votes => _votes.Task;

    /// <summary>Hashes of the authorities that the running member trusts: it reads them when it starts. Null where none runs; empty: not known.</summary>
    public IReadOnlyList<string>? Trusted { get; private set; }

    private string TrustedFile => Path.Combine(_configuration.StateDirectory, "etcd.trust");

    /// <summary>Stops the member and starts it again; completes when it has been started.</summary>
    public Task RestartAsync()
    {
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        return (Interlocked.CompareExchange(ref _restart, asked, null) ?? asked).Task;
    }

    /// <summary>The member is taken out: while that is so it is not started again.</summary>
    public bool IsLeaving { get => _left; set => _left = value; }

    /// <summary>Another in tests alone.</summary>
    internal Func<EtcdMember, EtcdProcess> Launch { get; init; } = EtcdProcess.Start;

    /// <summary>Why etcd does not run here, in words; null while it does.</summary>
    public string? Trouble => _trouble;

    /// <summary>The node's member as the beginner of a cluster with <see cref="AgentConfiguration.StoreFounders"/>; null when it has none.</summary>
    internal static EtcdMember? MemberOf(AgentConfiguration configuration)
    {
        if (configuration.Store != StoreKind.Etcd || !configuration.StoreMembers.TryGetValue(configuration.Node.Value, out var own))
        {
            return null;
        }

        return new EtcdMember
        {
            Node = configuration.Node,
            StateDirectory = configuration.StateDirectory,
            Clients = new PrivateEndpoint(IPAddress.Parse(own), PrivatePorts.EtcdClient),
            Peers = configuration.StoreMembers.Where(pair => pair.Key == configuration.Node.Value || configuration.StoreFounders?.Contains(pair.Key) != false)
                .ToDictionary(pair => new NodeName(pair.Key), pair => Peer(pair.Value)),
            Certificates = Path.Combine(configuration.StateDirectory, NodeSetup.CertificatesDirectory),
            Token = configuration.Cluster,
        };
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        if (_founder is null)
        {
            return;
        }

        var settling = SettleAsync(cancellation);
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                if (_process is null)
                {
                    if (_left)
                    {
                        await Task.Delay(Watch, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                        continue;
                    }

                    if (await PrepareAsync(cancellation).ConfigureAwait(false) is not { } member)
                    {
                        _trouble = $"etcd does not run on {_configuration.Node}: {_lastSaid}";
                        await Task.Delay(JoinDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                        continue;
                    }

                    // Before it starts: what it reads is this or newer, and a newer one asks for another start.
                    var trusted = _certificate.Trusted;
                    _process = Launch(member);
                    _trouble = null;
                    Remember(trusted, _process.Adopted);
                    if (_raised)
                    {
                        Raise();
                    }

                    Interlocked.Exchange(ref _restart, null)?.TrySetResult();
                    _log($"etcd runs as process {_process.Id}{(_process.Adopted ? " (from before)" : "")}");
                    TellOfGroup(_process);
                    // One that trusts none of today's authorities speaks with nobody here: it has no turn to wait for.
                    if (_process.Adopted && Trusted is { Count: > 0 } theirs && !theirs.Intersect(trusted).Any())
                    {
                        _log("etcd is started anew: it trusts authorities of former times alone");
                        _ = RestartAsync();
                    }
                }

                if (_restart is not null && !_process.HasExited)
                {
                    await _process.StopAsync(RestartPatience).ConfigureAwait(false);
                    _process.Dispose();
                    _process = null;
                    continue;
                }

                if (_process.HasExited && _left)
                {
                    await _process.EndGroupAsync().ConfigureAwait(false);
                    _process.Dispose();
                    _process = null;
                    continue;
                }

                if (_process.HasExited)
                {
                    _log($"etcd ended: {_process.LastWords()}");
                    _trouble = $"etcd on {_configuration.Node} ended, and is started again: see {_founder.LogFile}";
                    await _process.EndGroupAsync().ConfigureAwait(false);
                    _process.Dispose();
                    _process = null;
                    await Task.Delay(RestartDelay, cancellation).ConfigureAwait(false);
                    continue;
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                break;
            }
#pragma warning disable CA1031 // Whatever it is (a full disk, no process more): etcd is started and watched for as long as the agent runs.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Say(exception is EtcdStartException ? exception.Message : $"etcd cannot be looked after: {exception}");
                _trouble = $"etcd does not run on {_configuration.Node}: {exception.Message}";
                await Task.Delay(RestartDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                continue;
            }

            // Its end is an event where it is our child; one that an earlier agent started is looked at.
            await _process!.EndedAsync(Watch, cancellation).ConfigureAwait(false);
        }

        await settling.ConfigureAwait(false);
    }

    // Not at each start of it: nothing changes meanwhile.
    private void TellOfGroup(EtcdProcess process)
    {
        if (process.GroupTrouble is { } reason && !_groupTold)
        {
            _groupTold = true;
            _log($"etcd has no control group of its own ({reason}): what it uses is counted with the agent");
        }
    }

    private void Remember(IReadOnlyList<string> trusted, bool adopted)
    {
        try
        {
            if (adopted)
            {
                Trusted = File.Exists(TrustedFile) ? File.ReadAllLines(TrustedFile) : [];
                return;
            }

            File.WriteAllLines(TrustedFile, trusted);
        }
        catch (IOException exception)
        {
            Say($"what etcd trusts cannot be written down: {exception.Message}");
        }

        Trusted = trusted;
    }

    /// <summary>Gives the member the agent's own priority: a starved store is a lost one.</summary>
    public void Raise()
    {
        _raised = true;
        if (_process is { HasExited: false } process)
        {
            Priority.Raise(process.Id, _log);
        }
    }

    public async Task StopAsync(TimeSpan patience)
    {
        if (_process is { HasExited: false } process)
        {
            await process.StopAsync(patience).ConfigureAwait(false);
        }
    }

    public void Dispose()
    {
        _process?.Dispose();
        _members?.Dispose();
    }

    /// <summary>With data: goes on as what it was. Without: begins the cluster if that is this node's part, else joins it.</summary>
    /// <returns>Null while it cannot join.</returns>
    private async Task<EtcdMember?> PrepareAsync(CancellationToken cancellation)
    {
        if (_founder!.HasData || _configuration.StoreFounders is null || _configuration.StoreFounders.Contains(_configuration.Node.Value))
        {
            return _founder;
        }

        var list = await Admission().EnterAsync(_configuration.StoreRejoins, Say, cancellation).ConfigureAwait(false);
        return list is null ? null : _founder with
        {
            Joins = true,
            // Those that have not run yet have no name; etcd compares addresses.
            Peers = list.Select((member, number) => (Name: NameOf(member) ?? new NodeName($"member{number}"), Peer: IPEndPoint.Parse(new Uri(member.Peer).Authority)))
                .ToDictionary(member => member.Name, member => new PrivateEndpoint(member.Peer.Address, member.Peer.Port)),
        };
    }

    /// <summary>Once it runs: this node never begins a cluster again; and it votes as soon as that is due.</summary>
    private async Task SettleAsync(CancellationToken cancellation)
    {
        var written = _configuration is { StoreFounders.Count: 0, StoreRejoins: false };
        _writtenMembers = [.. _configuration.StoreMembers.Keys];
        while (!cancellation.IsCancellationRequested)
        {
            var settled = false;
            try
            {
                settled = _process is { HasExited: false } && await Admission().SettleAsync(Say, cancellation).ConfigureAwait(false);
                if (settled && await VotesAsync(cancellation).ConfigureAwait(false))
                {
                    _votes.TrySetResult();
                }

                if (settled && (!written || !Today().Keys.All(_writtenMembers.Contains)))
                {
                    written = WriteDown(Today());
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                break;
            }
#pragma warning disable CA1031 // Whatever it is: a member that stops asking for its vote never gets it.
            catch (Exception exception)
#pragma warning restore CA1031
            {
                Say($"etcd: {_configuration.Node} cannot settle: {exception}");
            }

            await Task.Delay(settled ? SettledDelay : JoinDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<bool> VotesAsync(CancellationToken cancellation)
    {
        if (_votes.Task.IsCompleted)
        {
            return true;
        }

        try
        {
            return (await _members!.ListAsync(cancellation).ConfigureAwait(false)).Any(one => one.Name == _configuration.Node.Value && !one.Learner);
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }

    /// <summary>The voting nodes of the committed file, and those that this node began with: a member that was not removed yet still counts.</summary>
    private IReadOnlyDictionary<string, string> Today()
    {
        var members = new SortedDictionary<string, string>(_configuration.StoreMembers.ToDictionary(), StringComparer.Ordinal);
        foreach (var (node, address) in _spec() is { } spec ? NodeSetup.Voters(spec) : new Dictionary<string, string>())
        {
            members[node] = address;
        }

        return members;
    }

    private EtcdMembership Open(IReadOnlyDictionary<string, string> members) => new(members.OrderBy(one => one.Key != _configuration.Node.Value)
        .Select(one => new EtcdEndpoint(new PrivateEndpoint(IPAddress.Parse(one.Value), PrivatePorts.EtcdClient), new NodeName(one.Key))), _certificate, _log);

    /// <summary>For the next start: that etcd has begun, and where its members are.</summary>
    private bool WriteDown(IReadOnlyDictionary<string, string> members)
    {
        try
        {
            var file = Path.Combine(_configuration.StateDirectory, NodeSetup.ConfigurationFile);
            (AgentConfiguration.Load(file) with
            {
                StoreFounders = [], StoreRejoins = false, StoreMembers = members, StoreEndpoints = NodeSetup.EndpointsFor(_configuration.Node, members),
            }).Save(file);
            _writtenMembers = [.. members.Keys];
            return true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or System.Text.Json.JsonException)
        {
            Say($"that etcd has begun cannot be written down: {exception.Message}");
            return false;
        }
    }

    private EtcdAdmission Admission() => new(_members!, _configuration.Node, _founder!.Peers[_configuration.Node]);

    private NodeName? NameOf(ListedMember member) => member.HasRun ? new NodeName(member.Name)
        : _configuration.StoreMembers.FirstOrDefault(one => _members!.UrlOf(Peer(one.Value)) == member.Peer).Key is { } known ? new NodeName(known) : null;

    internal static PrivateEndpoint Peer(string address) => new(IPAddress.Parse(address), PrivatePorts.EtcdPeer);

    // What is tried several times a second is said once.
    private void Say(string words)
    {
        if (Interlocked.Exchange(ref _lastSaid, words) != words)
        {
            _log(words);
        }
    }
}
