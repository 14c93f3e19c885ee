using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Agent.Host;

namespace Evenkeel.Agent.Enrolment;

/// <summary>
/// Keeps this node's list of revoked certificates as the store has it, and tells the store which certificate this node uses, so
/// that there is something to revoke when the node is taken out.
/// </summary>
internal sealed class RevocationFeed(AgentConfiguration configuration, NodeCertificate certificate, ICoordinationStore store, Action<string> log)
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);
    private readonly EnrolmentKeys _keys = new(configuration.Cluster);
    private readonly Dictionary<string, string> _revoked = [];

    public async Task RunAsync(CancellationToken cancellation)
    {
        string? complaint = null;
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await FollowAsync(cancellation).ConfigureAwait(false);
            }
            catch (Exception exception) when (exception is StoreUnavailableException or CompactedException)
            {
                // Said by the feed of the state already; read anew.
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                if (complaint != exception.Message)
                {
                    log($"the list of revoked certificates cannot be written: {exception.Message}");
                    complaint = exception.Message;
                }
            }
            catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
            {
                return;
            }

            await Task.Delay(RetryDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task FollowAsync(CancellationToken cancellation)
    {
        var snapshot = await store.ReadAsync(_keys.RevokedPrefix, cancellation).ConfigureAwait(false);
        // Never fewer than before: a restored store may have forgotten some, and a certificate does not come back.
        Take(snapshot.Entries);
        await TellOwnAsync(cancellation).ConfigureAwait(false);
        await foreach (var batch in store.WatchAsync(_keys.RevokedPrefix, snapshot.Revision, cancellation).ConfigureAwait(false))
        {
            Take(batch.Entries);
        }
    }

    private void Take(IEnumerable<StoreEntry> entries)
    {
        foreach (var record in entries.Select(EnrolmentKeys.Read).OfType<CertificateRecord>())
        {
            _revoked[record.Serial] = record.Node.Value;
        }

        foreach (var node in certificate.Revoked.Add(_revoked))
        {
            log($"the certificate of {node} is revoked: {node} was removed");
        }
    }

    private async Task TellOwnAsync(CancellationToken cancellation)
    {
        if (certificate.Revoked.NodeOf(certificate.Own.SerialNumber) is not null)
        {
            log($"this server is {configuration.Node} no more: its certificate was revoked when it was removed. Stop its agent; 'evenkeel token {configuration.Node}' on the first node lets a server in anew");
            return;
        }

        var known = (await store.ReadAsync(_keys.Certificate(configuration.Node), cancellation).ConfigureAwait(false)).Entries
            .FirstOrDefault(entry => entry.Key == _keys.Certificate(configuration.Node));
        var own = new CertificateRecord(configuration.Node, certificate.Own.SerialNumber, DateTimeOffset.UtcNow);
        if (known is not null && EnrolmentKeys.Read(known)?.Serial == own.Serial)
        {
            return;
        }

        // An older one of this node, if any, stays on record as revoked: a node has one certificate.
        Write[] writes = known is not null && EnrolmentKeys.Read(known) is { } older ? [_keys.Put(own), _keys.Revoke(older)] : [_keys.Put(own)];
        _ = await store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(_keys.Certificate(configuration.Node), known?.ModRevision ?? 0)], writes), cancellation).ConfigureAwait(false);
    }
}
