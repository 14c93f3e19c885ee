using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Agent.Host;

namespace Evenkeel.Agent.Enrolment;

/// <summary>
/// Keeps this node's list of revoked certificates as the store has it, and tells the store which certificate this node uses, so
/// that there is something to revoke when the node is taken out.
/// </summary>
internal sealed class RevocationFeed(AgentConfiguration configuration, NodeCertificate certificate, ICoordinationStore store, Action<string> log) : IDisposable
{
    private static readonly TimeSpan RetryDelay = TimeSpan.FromMilliseconds(500);
    private readonly EnrolmentKeys _keys = new(configuration.Cluster);
    private readonly Dictionary<string, string> _revoked = [];
    private readonly SemaphoreSlim _telling = new(1, 1);
    // What this process has told: it has been its own certificate, so one that follows it was renewed in order.
    private (string Serial, DateTimeOffset Ends)? _told;

    public void Dispose() => _telling.Dispose();

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

    /// <summary>Tells which certificate this node uses; again when it has been renewed.</summary>
    /// <exception cref="StoreUnavailableException">It cannot be told.</exception>
    public async Task TellOwnAsync(CancellationToken cancellation)
    {
        await _telling.WaitAsync(cancellation).ConfigureAwait(false);
        try
        {
            await TellAsync(certificate.Own, cancellation).ConfigureAwait(false);
        }
        finally
        {
            _telling.Release();
        }
    }

    private async Task TellAsync(X509Certificate2 shown, CancellationToken cancellation)
    {
        if (certificate.Revoked.NodeOf(shown.SerialNumber) is not null)
        {
            log($"this server is {configuration.Node} no more: its certificate was revoked when it was removed. Stop its agent; 'evenkeel token {configuration.Node}' on the first node lets a server in anew");
            return;
        }

        var entry = (await store.ReadAsync(_keys.Certificate(configuration.Node), cancellation).ConfigureAwait(false)).Entries
            .FirstOrDefault(entry => entry.Key == _keys.Certificate(configuration.Node));
        var known = entry is null ? null : EnrolmentKeys.Read(entry);
        var now = DateTimeOffset.UtcNow;
        if (known?.Serial != shown.SerialNumber)
        {
            // A renewed one leaves the one before to its end: connections stand on it. One that this process has not had itself is somebody
            // else's who was this node before: a node has one certificate.
            var renewed = known is not null && _told is { } told && told.Serial == known.Serial;
            IReadOnlyList<EarlierCertificate> earlier = renewed ? [.. known!.Earlier.Append(new EarlierCertificate(_told!.Value.Serial, _told.Value.Ends)).Where(one => one.Ends > now)] : [];
            var own = new CertificateRecord(configuration.Node, shown.SerialNumber, now) { Earlier = earlier };
            IReadOnlyList<Write> writes = known is null || renewed ? [_keys.Put(own)] : [_keys.Put(own), .. _keys.Revoke(known)];
            var result = await store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(_keys.Certificate(configuration.Node), entry?.ModRevision ?? 0)], writes), cancellation).ConfigureAwait(false);
            if (result.Outcome != CommitOutcome.Committed)
            {
                throw new StoreUnavailableException($"this node's certificate could not be told: {result.Reason}");
            }
        }

        _told = (shown.SerialNumber, shown.NotAfter);
    }
}
