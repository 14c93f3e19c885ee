using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Setup;

/// <summary>
/// Brings the coordination store back on one node after its majority is lost for good, as a new incarnation (safety rule 2): what
/// is left is made a cluster of one, on loopback, where nobody else reaches it; every epoch ever given is outranked there; only
/// then does it take the place of the node's data. Until that moment nothing was changed, and the old data stay beside the new.
/// </summary>
public sealed class StoreRecovery
{
    private const string ScratchDirectory = "etcd-recovery";
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private readonly AgentConfiguration _configuration;
    private readonly EtcdMember _member;
    private readonly Action<string> _tell;
    private readonly Func<ClusterSpec, Task> _makeSure;

    /// <param name="tell">Told of each step.</param>
    /// <param name="makeSure">Makes sure that the other voting nodes are off, where that is left to this moment: called once the new store is
    /// whole and before it counts, with what the cluster had decided. What it throws ends the recovery with nothing changed.</param>
    /// <exception cref="SetupRefusedException">The node has no managed etcd, or its agent or etcd runs.</exception>
    public StoreRecovery(AgentConfiguration configuration, Action<string> tell, Func<ClusterSpec, Task>? makeSure = null)
    {
        (_configuration, _tell, _makeSure) = (configuration, tell, makeSure ?? (_ => Task.CompletedTask));
        _member = ManagedEtcd.MemberOf(configuration)
            ?? throw new SetupRefusedException($"{configuration.Node} has no member of a managed etcd: it does not vote", "Recover on a voting node");
        if (AuthorityRecreation.Answers(configuration.ControlSocket) || EtcdProcess.IsRunning(_member))
        {
            throw new SetupRefusedException($"the agent of {configuration.Node} runs, or its etcd does", "Stop it first: systemctl stop evenkeel");
        }
    }

    private string Scratch => Path.Combine(_configuration.StateDirectory, ScratchDirectory);

    /// <summary>From a snapshot: what was committed after it is lost.</summary>
    /// <returns>The new incarnation.</returns>
    /// <exception cref="SetupRefusedException">It is no snapshot, or of another cluster.</exception>
    /// <exception cref="EtcdStartException">etcd's programs are missing, or refused.</exception>
    /// <exception cref="IOException">Something cannot be read or written.</exception>
    public async Task<int> FromSnapshotAsync(string snapshot, CancellationToken cancellation)
    {
        if (EtcdSnapshot.WhyNot(snapshot) is { } reason)
        {
            throw new SetupRefusedException($"{snapshot} cannot be used: {reason}", "evenkeel state list shows this node's own snapshots, and which are whole");
        }

        var restored = InScratch();
        try
        {
            var program = await EtcdPrograms.RestoreAsync(restored, Path.GetFullPath(snapshot), FormattableString.Invariant($"{_configuration.Cluster}-{DateTime.UtcNow.Ticks}"), cancellation).ConfigureAwait(false);
            _tell($"{program} restored {snapshot}");
            var incarnation = await WithAsync(restored, store => BeginIncarnationAsync(store, cancellation), cancellation).ConfigureAwait(false);
            IncarnationMemory.Keep(_configuration.StateDirectory, incarnation);
            // First: a node that is cut off from its data here must never begin a cluster of its own.
            Settle(rejoins: false);
            SetAside();
            Directory.Move(restored.DataDirectory, _member.DataDirectory);
            return incarnation;
        }
        finally
        {
            Directory.Delete(Scratch, recursive: true);
        }
    }

    /// <summary>From this node's own data: everything that it has is kept, the last entries included.</summary>
    /// <returns>The new incarnation.</returns>
    /// <exception cref="SetupRefusedException">It has none.</exception>
    /// <exception cref="EtcdStartException">etcd's programs are missing, or refused.</exception>
    /// <exception cref="IOException">Something cannot be read or written.</exception>
    public async Task<int> FromLastMemberAsync(CancellationToken cancellation)
    {
        if (!_member.HasData)
        {
            throw new SetupRefusedException($"{_member.DataDirectory} holds no data of etcd", "Recover from a snapshot instead: evenkeel recover --from-snapshot FILE");
        }

        var copy = InScratch();
        var snapshot = Path.Combine(StateSnapshots.DirectoryOf(_configuration.StateDirectory), $"last-member-{Now()}.db");
        try
        {
            // The log of entries is played to its end, which a copy of the database file alone would lack.
            CopyDirectory(_member.DataDirectory, copy.DataDirectory);
            await WithAsync(copy with { ForcesNewCluster = true }, async (store, endpoint, certificate) =>
            {
                await EtcdSnapshot.TakeAsync(endpoint, certificate, snapshot, cancellation).ConfigureAwait(false);
                return 0;
            }, cancellation).ConfigureAwait(false);
            _tell($"all that {_configuration.Node} has is in {snapshot}");
        }
        finally
        {
            Directory.Delete(Scratch, recursive: true);
        }

        return await FromSnapshotAsync(snapshot, cancellation).ConfigureAwait(false);
    }

    /// <summary>Puts this node's data aside; its agent then joins the etcd that runs elsewhere, and its old member is dropped there.</summary>
    public void Rejoin()
    {
        Settle(rejoins: true);
        SetAside();
    }

    private void SetAside()
    {
        if (Directory.Exists(_member.DataDirectory))
        {
            var aside = $"{_member.DataDirectory}.before-{Now()}";
            Directory.Move(_member.DataDirectory, aside);
            _tell($"the data that were there are in {aside}");
        }
    }

    private void Settle(bool rejoins)
    {
        var file = Path.Combine(_configuration.StateDirectory, NodeSetup.ConfigurationFile);
        (_configuration with { StoreFounders = [], StoreRejoins = rejoins }).Save(file);
    }

    /// <summary>The member as it will be, but with data of its own and on loopback.</summary>
    private EtcdMember InScratch()
    {
        if (Directory.Exists(Scratch))
        {
            Directory.Delete(Scratch, recursive: true); // of a recovery that was cut short
        }

        Directory.CreateDirectory(Scratch, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        return _member with
        {
            StateDirectory = Scratch,
            Clients = new PrivateEndpoint(IPAddress.Loopback, FreePort()),
            PeersListener = new PrivateEndpoint(IPAddress.Loopback, FreePort()),
            Peers = new Dictionary<Core.Model.NodeName, PrivateEndpoint> { [_member.Node] = _member.Peers[_member.Node] },
        };
    }

    private Task<T> WithAsync<T>(EtcdMember member, Func<ICoordinationStore, Task<T>> act, CancellationToken cancellation) =>
        WithAsync(member, (store, _, _) => act(store), cancellation);

    private async Task<T> WithAsync<T>(EtcdMember member, Func<ICoordinationStore, EtcdEndpoint, NodeCertificate, Task<T>> act, CancellationToken cancellation)
    {
        using var certificate = NodeCertificate.Load(Path.Combine(_configuration.StateDirectory, NodeSetup.CertificatesDirectory));
        var endpoint = new EtcdEndpoint(member.Clients, member.Node);
        using var process = EtcdProcess.Start(member);
        try
        {
            await using var store = new EtcdStore(_configuration.Cluster, [endpoint], certificate, _tell);
            await AnswersAsync(store, process, cancellation).ConfigureAwait(false);
            return await act(store, endpoint, certificate).ConfigureAwait(false);
        }
        finally
        {
            await process.StopAsync(TimeSpan.FromSeconds(10)).ConfigureAwait(false);
        }
    }

    private static async Task AnswersAsync(EtcdStore store, EtcdProcess process, CancellationToken cancellation)
    {
        for (var until = DateTime.UtcNow + Patience; ;)
        {
            try
            {
                _ = await store.ReadAsync("/", cancellation).ConfigureAwait(false);
                return;
            }
            catch (StoreUnavailableException exception)
            {
                if (process.HasExited || DateTime.UtcNow > until)
                {
                    throw new EtcdStartException($"what is left of etcd does not come up: {exception.Message}; {process.LastWords()}");
                }
            }
        }
    }

    private async Task<int> BeginIncarnationAsync(ICoordinationStore store, CancellationToken cancellation)
    {
        var codec = new StateCodec(_configuration.Cluster);
        var state = codec.Read(await store.ReadAsync(codec.Keys.Prefix, cancellation).ConfigureAwait(false));
        if (state.Spec is null)
        {
            throw new SetupRefusedException($"the snapshot holds nothing of the cluster '{_configuration.Cluster}'", "Take a snapshot of this cluster; evenkeel state list shows this node's own");
        }

        await _makeSure(state.Spec.Value.Value).ConfigureAwait(false);
        var operation = Operations.BeginIncarnation(codec, state, IncarnationMemory.Highest(_configuration.StateDirectory), Guid.NewGuid());
        while (true)
        {
            var result = await store.CommitAsync(operation.Transaction!, cancellation).ConfigureAwait(false);
            switch (result.Outcome)
            {
                case CommitOutcome.Committed:
                    return codec.Read(await store.ReadAsync(codec.Keys.Prefix, cancellation).ConfigureAwait(false)).Incarnation;
                case CommitOutcome.Conflict:
                    throw new EtcdStartException($"somebody else writes to the store that is being recovered: {result.Reason}");
            }
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private static string Now() => DateTime.UtcNow.ToString("yyyyMMdd'T'HHmmss.fff'Z'", CultureInfo.InvariantCulture);

    private static void CopyDirectory(string from, string to)
    {
        Directory.CreateDirectory(to, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        foreach (var directory in Directory.GetDirectories(from))
        {
            CopyDirectory(directory, Path.Combine(to, Path.GetFileName(directory)));
        }

        foreach (var file in Directory.GetFiles(from))
        {
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }
}
