using System.Globalization;
using System.Text;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Host;

/// <summary>One member of etcd at a time: a record in the store that ends by itself, so that who crashes keeps the others waiting no longer.</summary>
internal sealed class EtcdTurn(ICoordinationStore store, string cluster, string node)
{
    /// <summary>Longer than what is done in it may take.</summary>
    private static readonly TimeSpan Length = TimeSpan.FromMinutes(10);
    private readonly string _key = $"/evenkeel/{cluster}/maintenance/etcd";
    // Beside the time, which is all that earlier versions read there.
    private readonly string _ownerKey = $"/evenkeel/{cluster}/maintenance/etcd-owner";

    /// <returns>False while it is somebody else's.</returns>
    /// <exception cref="StoreUnavailableException">The store cannot be asked.</exception>
    public async Task<bool> TakeAsync(CancellationToken cancellation)
    {
        var (revision, until, owner) = await ReadAsync(cancellation).ConfigureAwait(false);
        return (until <= DateTimeOffset.UtcNow || owner == node) && await PutAsync(revision, DateTimeOffset.UtcNow + Length, cancellation).ConfigureAwait(false);
    }

    /// <summary>Gives it back; when that fails it ends by itself.</summary>
    /// <returns>Whether it is surely not ours any more.</returns>
    public async Task<bool> GiveBackAsync(CancellationToken cancellation)
    {
        try
        {
            var (revision, _, owner) = await ReadAsync(cancellation).ConfigureAwait(false);
            return owner != node || await PutAsync(revision, DateTimeOffset.UtcNow, cancellation).ConfigureAwait(false);
        }
        catch (StoreUnavailableException)
        {
            return false;
        }
    }

    private async Task<(long Revision, DateTimeOffset Until, string? Owner)> ReadAsync(CancellationToken cancellation)
    {
        var entries = (await store.ReadAsync(_key, cancellation).ConfigureAwait(false)).Entries.ToDictionary(entry => entry.Key);
        var record = entries.GetValueOrDefault(_key);
        var until = record is not null && DateTimeOffset.TryParse(Encoding.ASCII.GetString(record.Value.Span), CultureInfo.InvariantCulture, out var written) ? written : DateTimeOffset.MinValue;
        return (record?.ModRevision ?? 0, until, entries.GetValueOrDefault(_ownerKey) is { } owner ? Encoding.UTF8.GetString(owner.Value.Span) : null);
    }

    private async Task<bool> PutAsync(long revision, DateTimeOffset until, CancellationToken cancellation) =>
        (await store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(_key, revision)],
            [new Write(_key, Encoding.ASCII.GetBytes(until.ToString("O", CultureInfo.InvariantCulture))), new Write(_ownerKey, Encoding.UTF8.GetBytes(node))]), cancellation).ConfigureAwait(false))
        .Outcome == CommitOutcome.Committed;
}
