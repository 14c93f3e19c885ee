using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Certificates;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <param name="Bytes">Of the database file.</param>
/// <param name="UsedBytes">Of them, what holds something; the rest is free inside the file.</param>
/// <param name="IsFull">The quota was reached: this member has made the whole etcd refuse writes.</param>
public sealed record EtcdSize(long Bytes, long UsedBytes, bool IsLeader, bool IsFull)
{
    /// <summary>A smaller file is not worth the pause.</summary>
    private const long LeastBytes = 32L << 20;

    /// <summary>More than half of a file that is worth it is free.</summary>
    public bool IsFragmented => Bytes >= LeastBytes && UsedBytes < Bytes / 2;
}

/// <summary>Upkeep of one member: it does not answer while its file is written anew, so never two at once.</summary>
public sealed class EtcdMaintenance(EtcdEndpoint own, NodeCertificate? certificate, long quotaBytes, Action<string> log) : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan DefragmentationLimit = TimeSpan.FromMinutes(5);
    private readonly EtcdMemberLink _link = new(own, certificate, log);

    /// <summary>Above this share of the quota somebody should know; a quota that was reached is only lifted below it.</summary>
    public const double MuchOfQuota = 0.8;

    public bool IsNearQuota(EtcdSize size) => size.Bytes > quotaBytes * MuchOfQuota;

    /// <exception cref="StoreUnavailableException">The member does not answer.</exception>
    public Task<EtcdSize> SizeAsync(CancellationToken cancellation) => AskAsync(async () =>
    {
        var status = await _link.Maintenance.StatusAsync(new StatusRequest(), Options(Limit, cancellation)).ConfigureAwait(false);
        var alarms = await _link.Maintenance.AlarmAsync(new AlarmRequest { Action = AlarmRequest.Types.AlarmAction.Get }, Options(Limit, cancellation)).ConfigureAwait(false);
        var id = status.Header.MemberId;
        return new EtcdSize(status.DbSize, status.DbSizeInUse, status.Leader == id, alarms.Alarms.Any(alarm => alarm.MemberID == id && alarm.Alarm == AlarmType.Nospace));
    }, cancellation);

    /// <summary>
    /// Members whose alarm for want of space (which stops the writes of all) nobody but another can take back: learners, which answer no
    /// such request, and members that are gone.
    /// </summary>
    /// <exception cref="StoreUnavailableException">The member does not answer, or nobody tells who the members are.</exception>
    public async Task<IReadOnlyList<ulong>> StrandedAsync(EtcdMembership members, CancellationToken cancellation)
    {
        var alarms = await AskAsync(async () => await _link.Maintenance.AlarmAsync(new AlarmRequest { Action = AlarmRequest.Types.AlarmAction.Get }, Options(Limit, cancellation)).ConfigureAwait(false), cancellation).ConfigureAwait(false);
        var full = alarms.Alarms.Where(alarm => alarm.Alarm == AlarmType.Nospace).Select(alarm => alarm.MemberID).ToList();
        return full.Count == 0 ? []
            : [.. full.Except((await members.ListAsync(cancellation).ConfigureAwait(false)).Where(member => !member.Learner).Select(member => member.Id))];
    }

    /// <summary>Takes another member's alarm for want of space back; there need not be one.</summary>
    /// <exception cref="StoreUnavailableException">The member does not answer.</exception>
    public Task TakeBackAsync(ulong member, CancellationToken cancellation) => AskAsync(async () => await _link.Maintenance.AlarmAsync(
        new AlarmRequest { Action = AlarmRequest.Types.AlarmAction.Deactivate, MemberID = member, Alarm = AlarmType.Nospace }, Options(Limit, cancellation)).ConfigureAwait(false), cancellation);

    /// <summary>Gives the lead to another voter that answers first, where there is one: the store goes on meanwhile.</summary>
    /// <exception cref="StoreUnavailableException">The member does not answer, or did not end in time.</exception>
    public async Task<EtcdSize> DefragmentAsync(EtcdMembership members, CancellationToken cancellation)
    {
        await YieldLeadAsync(members, cancellation).ConfigureAwait(false);
        await AskAsync(async () => await _link.Maintenance.DefragmentAsync(new DefragmentRequest(), Options(DefragmentationLimit, cancellation)).ConfigureAwait(false), cancellation).ConfigureAwait(false);
        return await SizeAsync(cancellation).ConfigureAwait(false);
    }

    /// <summary>Makes room after the quota was reached: drops every old revision, writes the file anew, and takes writes again when that helped.</summary>
    /// <returns>True when writes are taken again.</returns>
    /// <exception cref="StoreUnavailableException">The member does not answer.</exception>
    public async Task<bool> MakeRoomAsync(EtcdMembership members, CancellationToken cancellation)
    {
        await AskAsync(async () =>
        {
            var now = (await _link.Values.RangeAsync(new RangeRequest { Key = Google.Protobuf.ByteString.CopyFrom(0), CountOnly = true }, Options(Limit, cancellation)).ConfigureAwait(false)).Header.Revision;
            try
            {
                return await _link.Values.CompactAsync(new CompactionRequest { Revision = now, Physical = true }, Options(DefragmentationLimit, cancellation)).ConfigureAwait(false);
            }
            catch (RpcException exception) when (exception.StatusCode == StatusCode.OutOfRange)
            {
                return null; // another member has done it
            }
        }, cancellation).ConfigureAwait(false);
        if (IsNearQuota(await DefragmentAsync(members, cancellation).ConfigureAwait(false)))
        {
            return false;
        }

        await TakeBackAsync(await IdAsync(cancellation).ConfigureAwait(false), cancellation).ConfigureAwait(false);
        return true;
    }

    /// <summary>Gives the lead to another voter that answers, if this member has it and there is one.</summary>
    /// <exception cref="StoreUnavailableException">The member does not answer.</exception>
    public async Task YieldLeadAsync(EtcdMembership members, CancellationToken cancellation)
    {
        if ((await SizeAsync(cancellation).ConfigureAwait(false)).IsLeader)
        {
            await HandOverAsync(members, cancellation).ConfigureAwait(false);
        }
    }

    public void Dispose() => _link.Dispose();

    private async Task HandOverAsync(EtcdMembership members, CancellationToken cancellation)
    {
        var answering = await members.AnsweringAsync(cancellation).ConfigureAwait(false);
        var self = await IdAsync(cancellation).ConfigureAwait(false);
        if ((await members.ListAsync(cancellation).ConfigureAwait(false)).FirstOrDefault(one => !one.Learner && one.Id != self && answering.Contains(one.Id)) is { } heir)
        {
            await AskAsync(async () => await _link.Maintenance.MoveLeaderAsync(new MoveLeaderRequest { TargetID = heir.Id }, Options(Limit, cancellation)).ConfigureAwait(false), cancellation).ConfigureAwait(false);
        }
    }

    private Task<ulong> IdAsync(CancellationToken cancellation) =>
        AskAsync(async () => (await _link.Maintenance.StatusAsync(new StatusRequest(), Options(Limit, cancellation)).ConfigureAwait(false)).Header.MemberId, cancellation);

    private async Task<T> AskAsync<T>(Func<Task<T>> ask, CancellationToken cancellation)
    {
        try
        {
            return await ask().ConfigureAwait(false);
        }
        catch (RpcException exception)
        {
            cancellation.ThrowIfCancellationRequested();
            throw new StoreUnavailableException($"etcd at {own.Address}: {EtcdFailures.Describe(exception)}", exception);
        }
    }

    private static CallOptions Options(TimeSpan limit, CancellationToken cancellation) => new(deadline: DateTime.UtcNow + limit, cancellationToken: cancellation);
}
