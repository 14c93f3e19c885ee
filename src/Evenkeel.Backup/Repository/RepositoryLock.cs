using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Repository;

/// <summary>What a lock file says about its holder; restic's fields.</summary>
/// <param name="Time">When it was made or last refreshed.</param>
/// <param name="Exclusive">Whether it suffers no other lock.</param>
/// <param name="Hostname">The holder's machine.</param>
/// <param name="Username">The holder's user.</param>
/// <param name="ProcessId">The holder's process.</param>
/// <param name="UserId">The holder's user number.</param>
/// <param name="GroupId">The holder's group number.</param>
public sealed record LockHolder(
    [property: JsonPropertyName("time")] string Time,
    [property: JsonPropertyName("exclusive")] bool Exclusive,
    [property: JsonPropertyName("hostname")] string Hostname,
    [property: JsonPropertyName("username")] string Username,
    [property: JsonPropertyName("pid")] int ProcessId,
    [property: JsonPropertyName("uid"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] uint UserId = 0,
    [property: JsonPropertyName("gid"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)] uint GroupId = 0)
{
    private static readonly TimeSpan StaleAfter = TimeSpan.FromMinutes(30);

    /// <summary>Whether the holder is surely gone: not refreshed for 30 minutes, or a process of this machine that no longer runs.</summary>
    public bool IsStale(DateTimeOffset now) =>
        !Timestamp.TryParse(Time, out var time) || now - time.ToDateTimeOffset() > StaleAfter
        || (Hostname == Environment.MachineName && !Directory.Exists($"/proc/{ProcessId}"));
}

/// <summary>
/// A lock as restic's: a file that others see. Many may hold shared locks (backup, restore); an exclusive one (prune) suffers none.
/// </summary>
/// <remarks>No backend has an atomic 'create if no other': a lock is written, then after a moment the others are read again, and
/// whoever sees a conflict withdraws. It is refreshed every five minutes; a holder whose refresh fails is told through <see cref="Lost"/>.</remarks>
public sealed class RepositoryLock : IAsyncDisposable
{
    private static readonly TimeSpan RefreshEvery = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan Settle = TimeSpan.FromMilliseconds(200);
    private readonly ResticRepository _repository;
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _lost = new();
    private readonly bool _exclusive;
    private Task _refresher = Task.CompletedTask;
    private ObjectId _id;

    private RepositoryLock(ResticRepository repository, bool exclusive)
    {
        _repository = repository;
        _exclusive = exclusive;
    }

    /// <summary>Cancelled when the lock could not be refreshed in time: the holder must stop changing the repository.</summary>
    public CancellationToken Lost => _lost.Token;

    /// <summary>Takes a lock; fails with <see cref="RepositoryError.Locked"/> and says by whom. Stale locks are removed.</summary>
    public static async Task<RepositoryLock> AcquireAsync(ResticRepository repository, bool exclusive, CancellationToken cancellation)
    {
        var held = new RepositoryLock(repository, exclusive);
        await held.RefuseOnConflictAsync(cancellation).ConfigureAwait(false);
        held._id = await held.WriteAsync(cancellation).ConfigureAwait(false);
        try
        {
            // Two that wrote at the same time must both see the other: give the slower write time to become visible.
            await Task.Delay(Settle, repository.Time, cancellation).ConfigureAwait(false);
            await held.RefuseOnConflictAsync(cancellation).ConfigureAwait(false);
        }
        catch
        {
            await repository.Backend.DeleteAsync(FileKind.Lock, held._id.ToString(), CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        held._refresher = held.RefreshAsync();
        return held;
    }

    /// <summary>Removes the lock.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _refresher.ConfigureAwait(false);
        await _repository.Backend.DeleteAsync(FileKind.Lock, _id.ToString(), CancellationToken.None).ConfigureAwait(false);
        _stop.Dispose();
        _lost.Dispose();
    }

    /// <summary>All readable locks of a repository.</summary>
    public static async Task<List<(ObjectId Id, LockHolder Holder)>> ListAsync(ResticRepository repository, CancellationToken cancellation)
    {
        var locks = new List<(ObjectId, LockHolder)>();
        foreach (var id in await repository.ListAsync(FileKind.Lock, cancellation).ConfigureAwait(false))
        {
            try
            {
                var json = await repository.LoadUnpackedAsync(FileKind.Lock, id, cancellation).ConfigureAwait(false);
                locks.Add((id, JsonSerializer.Deserialize(json, LockJson.Default.LockHolder)
                    ?? throw new RepositoryException(RepositoryError.Damaged, $"lock {id.Brief} is empty")));
            }
            catch (RepositoryException e) when (e.Error == RepositoryError.NotFound)
            {
                // released between the listing and the reading
            }
        }
        return locks;
    }

    private async Task RefuseOnConflictAsync(CancellationToken cancellation)
    {
        foreach (var (id, holder) in await ListAsync(_repository, cancellation).ConfigureAwait(false))
        {
            if (id == _id || (!_exclusive && !holder.Exclusive))
            {
                continue;
            }
            if (holder.IsStale(_repository.Time.GetUtcNow()))
            {
                await _repository.Backend.DeleteAsync(FileKind.Lock, id.ToString(), cancellation).ConfigureAwait(false);
                continue;
            }
            throw new RepositoryException(RepositoryError.Locked,
                $"the repository is locked {(holder.Exclusive ? "exclusively " : "")}by process {holder.ProcessId} on {holder.Hostname}"
                + $" ({holder.Username}) since {holder.Time}");
        }
    }

    private Task<ObjectId> WriteAsync(CancellationToken cancellation)
    {
        var holder = new LockHolder(Timestamp.From(_repository.Time.GetLocalNow()).ToString(), _exclusive,
            Environment.MachineName, Environment.UserName, Environment.ProcessId, Files.Native.UserId, Files.Native.GroupId);
        return _repository.SaveUnpackedAsync(FileKind.Lock, JsonSerializer.SerializeToUtf8Bytes(holder, LockJson.Default.LockHolder), cancellation);
    }

    private async Task RefreshAsync()
    {
        var since = Stopwatch.StartNew();
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                await Task.Delay(RefreshEvery, _repository.Time, _stop.Token).ConfigureAwait(false);
                var fresh = await WriteAsync(_stop.Token).ConfigureAwait(false);
                var old = _id;
                _id = fresh;
                since.Restart();
                await _repository.Backend.DeleteAsync(FileKind.Lock, old.ToString(), _stop.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (RepositoryException) when (since.Elapsed < TimeSpan.FromMinutes(20))
            {
                // tried again at the next beat; others leave the lock alone for 30 minutes
            }
            catch (RepositoryException)
            {
                await _lost.CancelAsync().ConfigureAwait(false);
                return;
            }
        }
    }
}

[JsonSerializable(typeof(LockHolder))]
internal sealed partial class LockJson : JsonSerializerContext;
