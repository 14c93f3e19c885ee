using System.Globalization;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Looks after this node's voting member of etcd: a snapshot at the agent's start and every hour, the file written anew when more
/// than half of it is free (one member at a time), room made when the quota was reached. The disk of a learner is watched too.
/// </summary>
/// <param name="known">The committed file and the store's incarnation, as this agent knows them; null and 0 when not yet.</param>
/// <param name="warned">Hears each new concern, in words: it is worth an event.</param>
internal sealed class EtcdCare(
    AgentConfiguration configuration, EtcdMember member, EtcdMembership members, NodeCertificate certificate, ICoordinationStore store, Func<(ClusterSpec? Spec, int Incarnation)> known, Action<string> log, Action<string> warned) : IDisposable
{
    private static readonly TimeSpan SnapshotEvery = TimeSpan.FromHours(1);
    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(30);

    private readonly EtcdMaintenance _maintenance = new(new EtcdEndpoint(member.Clients, member.Node), certificate, member.QuotaBytes, log);
    private readonly EtcdDisk _disk = new(member, certificate);
    private readonly EtcdTurn _turn = new(store, configuration.Cluster, configuration.Node.Value);
    // By kind.
    private readonly Dictionary<string, string> _concerns = [];
    private DateTimeOffset _nextSnapshot = DateTimeOffset.MinValue;

    /// <summary>What somebody should know, in words.</summary>
    public IReadOnlyList<NodeConcern> Concerns
    {
        get
        {
            lock (_concerns)
            {
                return [.. _concerns.Select(one => new NodeConcern(one.Key, one.Value))];
            }
        }
    }

    /// <summary>When the last snapshot was taken, by an earlier agent too; null: never.</summary>
    public DateTimeOffset? LastSnapshot => StateSnapshots.Newest(configuration.StateDirectory);

    public void Dispose()
    {
        _maintenance.Dispose();
        _disk.Dispose();
    }

    /// <summary>Looks at its disk, whether or not the member votes or runs.</summary>
    public async Task WatchDiskAsync(CancellationToken cancellation)
    {
        try
        {
            using var timer = new PeriodicTimer(LookEvery);
            do
            {
                await LookAsync(NodeConcern.EtcdDiskFull, "the room on etcd's disk is not known", _ => Task.FromResult(_disk.Room()), cancellation).ConfigureAwait(false);
                await LookAsync(NodeConcern.EtcdDiskSlow, "how quick etcd's disk is, is not known", _disk.SlownessAsync, cancellation).ConfigureAwait(false);
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    /// <param name="votes">Completed once the member votes.</param>
    public async Task RunAsync(Task votes, CancellationToken cancellation)
    {
        try
        {
            await votes.WaitAsync(cancellation).ConfigureAwait(false);
            using var timer = new PeriodicTimer(LookEvery);
            do
            {
                await LookAsync(NodeConcern.SnapshotFails, "no snapshot of etcd can be taken", SnapshotAsync, cancellation).ConfigureAwait(false);
                await LookAsync(NodeConcern.EtcdMembers, "etcd does not tell its members", OrphansAsync, cancellation).ConfigureAwait(false);
                await LookAsync(NodeConcern.EtcdSpace, "etcd's database cannot be looked after", TidyAsync, cancellation).ConfigureAwait(false);
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    private async Task LookAsync(string about, string failed, Func<CancellationToken, Task<string?>> look, CancellationToken cancellation)
    {
        string? concern;
        try
        {
            concern = await look(cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is StoreUnavailableException or IOException or UnauthorizedAccessException or InvalidDataException)
        {
            concern = $"{failed} on {configuration.Node}: {exception.Message}";
        }

        lock (_concerns)
        {
            if (concern is null)
            {
                _concerns.Remove(about);
                return;
            }

            if (_concerns.GetValueOrDefault(about) == concern)
            {
                return;
            }

            _concerns[about] = concern;
        }

        log(concern);
        warned(concern);
    }

    private async Task<string?> SnapshotAsync(CancellationToken cancellation)
    {
        if (known().Incarnation is > 0 and var incarnation)
        {
            IncarnationMemory.Keep(configuration.StateDirectory, incarnation);
        }

        var now = DateTimeOffset.UtcNow;
        if (now < _nextSnapshot)
        {
            return null;
        }

        await EtcdSnapshot.TakeAsync(new EtcdEndpoint(member.Clients, member.Node), certificate, StateSnapshots.NewFile(configuration.StateDirectory, now), cancellation).ConfigureAwait(false);
        StateSnapshots.Prune(configuration.StateDirectory);
        _nextSnapshot = now + SnapshotEvery;
        return null;
    }

    /// <summary>A member that is no voting node of the file any more counts in every majority until it is removed.</summary>
    private async Task<string?> OrphansAsync(CancellationToken cancellation)
    {
        if (known().Spec is not { } spec)
        {
            return null;
        }

        var orphans = (await members.ListAsync(cancellation).ConfigureAwait(false)).Where(one => one.HasRun && !(spec.Nodes.TryGetValue(new NodeName(one.Name), out var node) && node.Votes)).Select(one => one.Name).Order().ToList();
        return orphans.Count == 0 ? null
            : $"etcd still counts {string.Join(" and ", orphans)}, no voting node of the cluster's file: evenkeel remove {orphans[0]}, once its agent is stopped";
    }

    private async Task<string?> TidyAsync(CancellationToken cancellation)
    {
        var size = await _maintenance.SizeAsync(cancellation).ConfigureAwait(false);
        var stranded = await _maintenance.StrandedAsync(members, cancellation).ConfigureAwait(false);
        if (size.IsFull || (stranded.Count > 0 && _maintenance.IsNearQuota(size)))
        {
            // No turn is asked for: nothing can be written before there is room, so nobody loses anything by the pause.
            if (!await _maintenance.MakeRoomAsync(members, cancellation).ConfigureAwait(false))
            {
                return $"etcd on {configuration.Node} has reached its quota of {Mebibytes(member.QuotaBytes)} MiB, and there is nothing left to drop: nothing can be decided";
            }

            log($"etcd had reached its quota; old revisions were dropped, and it takes writes again");
            size = await _maintenance.SizeAsync(cancellation).ConfigureAwait(false);
        }
        else if (size.IsFragmented && await _turn.TakeAsync(cancellation).ConfigureAwait(false))
        {
            var after = await _maintenance.DefragmentAsync(members, cancellation).ConfigureAwait(false);
            log($"etcd's database was written anew: {Mebibytes(size.Bytes)} MiB before, {Mebibytes(after.Bytes)} MiB now");
            size = after;
            await _turn.GiveBackAsync(cancellation).ConfigureAwait(false);
        }

        foreach (var member in stranded)
        {
            await _maintenance.TakeBackAsync(member, cancellation).ConfigureAwait(false);
            log($"etcd's alarm for want of space was taken back for member {member:x}, which is a learner or gone and cannot do so itself");
        }

        return _maintenance.IsNearQuota(size) ? $"etcd's database on {configuration.Node} has {Mebibytes(size.Bytes)} MiB of a quota of {Mebibytes(member.QuotaBytes)} MiB" : null;
    }

    private static string Mebibytes(long bytes) => (bytes / 1048576.0).ToString("0.#", CultureInfo.InvariantCulture);
}
