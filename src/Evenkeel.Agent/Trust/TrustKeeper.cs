using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Trust;

/// <summary>What the keeper works with; the agent's own parts.</summary>
/// <param name="Alive">The nodes of the file that this agent hears, itself among them; null while the file is not known.</param>
/// <param name="IsController">Whether this node decides for the cluster now.</param>
internal sealed record TrustParts(
    AgentConfiguration Configuration, NodeCertificate Certificate, ICoordinationStore Store, AuthorityShelf Shelf, IssuedBook Issued, CertificateRenewal Renewal, EtcdTrust Etcd,
    Func<IReadOnlyList<string>?> StoreTrusted, GuardConfigurator Guard, RevocationFeed Revocations, Func<IReadOnlyCollection<NodeName>?> Alive, Func<bool> IsController, Action<string> Log);

/// <summary>
/// Keeps this node's certificate, the authorities that it trusts and its guard's keys as the cluster wants them, and reports how far it
/// is. Takes the cluster to the next step where that is this node's part: of the authority where its key is, of the guards' key where
/// the controller is. Each step is one transaction; whoever dies in between, another or the next agent finds it as it was.
/// </summary>
internal sealed class TrustKeeper : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private readonly TrustParts _parts;
    private readonly TrustKeys _keys;
    private readonly EnrolmentKeys _enrolment;
    private readonly StoreView _trust;
    private readonly StoreView _guardKeys;
    private readonly StoreView _certificates;
    private readonly SemaphoreSlim _changed = new(0, 1);
    private readonly Dictionary<string, string> _complaints = [];
    private bool _untold;

    public TrustKeeper(TrustParts parts)
    {
        _parts = parts;
        _keys = new TrustKeys(parts.Configuration.Cluster);
        _enrolment = new EnrolmentKeys(parts.Configuration.Cluster);
        _trust = new StoreView(parts.Store, _keys.Prefix, Wake);
        _guardKeys = new StoreView(parts.Store, GuardKeyRing.Prefix(parts.Configuration.Cluster), () =>
        {
            parts.Guard.ConfigureAgain();
            Wake();
        });
        _certificates = new StoreView(parts.Store, _enrolment.CertificatePrefix, Wake);
        parts.Guard.Confirmed += Wake;
    }

    /// <summary>Null while it never changed, or the store has not answered.</summary>
    public AuthorityRecord? Authority => _trust.Find(_keys.Authority) is { } entry ? TrustKeys.ReadAuthority(entry) : null;

    /// <summary>Every node that has a certificate.</summary>
    public IReadOnlyList<NodeName> Members => [.. (_certificates.Entries?.Values ?? []).Select(EnrolmentKeys.Read).OfType<CertificateRecord>().Select(record => record.Node).Order()];

    /// <summary>It was taken out, and no server has taken its name since. False while it is not known.</summary>
    public bool IsRemoved(NodeName node) => _certificates.Entries is { } known && !known.ContainsKey(_enrolment.Certificate(node)) && _parts.Certificate.Revoked.Names(node.Value);

    public IReadOnlyDictionary<NodeName, TrustReport> Reports => (_trust.Entries?.Values ?? []).Where(entry => entry.Key.StartsWith(_keys.NodePrefix, StringComparison.Ordinal))
        .Select(TrustKeys.ReadReport).OfType<TrustReport>().DistinctBy(report => report.Node).ToDictionary(report => report.Node);

    /// <summary>Null while it is not known.</summary>
    public GuardKeyRing? GuardKeys => _guardKeys.Entries is { Count: > 0 } entries ? GuardKeyRing.Read(_parts.Configuration.Cluster, entries) : null;

    public IReadOnlyList<NodeConcern> Concerns =>
    [
        .. _parts.Renewal.Concern is { } renewal ? [new NodeConcern(NodeConcern.CertificateEnds, renewal)] : Array.Empty<NodeConcern>(),
        .. AuthorityEnds(_parts.Certificate.Authorities[^1].NotAfter.ToUniversalTime(), DateTime.UtcNow) is { } ends ? [ends] : Array.Empty<NodeConcern>(),
    ];

    public void Dispose() => _changed.Dispose();

    public async Task RunAsync(CancellationToken cancellation)
    {
        Task[] views = [_trust.RunAsync(cancellation), _guardKeys.RunAsync(cancellation), _certificates.RunAsync(cancellation)];
        while (!cancellation.IsCancellationRequested)
        {
            await TryAsync("trust", "the authorities that are trusted cannot be written", FollowAuthoritiesAsync, cancellation).ConfigureAwait(false);
            await TryAsync("certificate", "the certificate cannot be renewed", RenewAsync, cancellation).ConfigureAwait(false);
            await TryAsync("issued", "what was signed here cannot be told", token => _parts.Issued.TellAsync(_parts.Store, _enrolment, token), cancellation).ConfigureAwait(false);
            await TryAsync("report", "what this node trusts cannot be told", ReportAsync, cancellation).ConfigureAwait(false);
            await TryAsync("authority", "the certificate authority cannot be changed", AdvanceAuthorityAsync, cancellation).ConfigureAwait(false);
            await TryAsync("guard keys", "the guards' key cannot be changed", AdvanceGuardKeysAsync, cancellation).ConfigureAwait(false);
            await ((Task)_changed.WaitAsync(Period, cancellation)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await Task.WhenAll(views).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Commits a record of the authority in the place of the one that was read.</summary>
    public Task<CommitResult> PutAsync(AuthorityRecord next, CancellationToken cancellation) =>
        _parts.Store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(_keys.Authority, _trust.Find(_keys.Authority)?.ModRevision ?? 0)], [_keys.Put(next)]), cancellation);

    /// <summary>Commits a ring of guard keys in the place of the one that was read.</summary>
    public Task<CommitResult> PutAsync(GuardKeyRing next, CancellationToken cancellation) => _parts.Store.CommitAsync(
        new Transaction(Guid.NewGuid(), GuardKeyRing.Compares(_parts.Configuration.Cluster, _guardKeys.Entries!), next.Writes(_parts.Configuration.Cluster)), cancellation);

    private void Wake()
    {
        try
        {
            if (_changed.CurrentCount == 0)
            {
                _changed.Release();
            }
        }
        catch (SemaphoreFullException)
        {
            // Two changes met: one signal is enough.
        }
    }

    private Task FollowAuthoritiesAsync(CancellationToken cancellation)
    {
        if (Authority is { } record)
        {
            List<string> wanted = [.. record.Trusted.Select(one => one.Hash)];
            if (!wanted.SequenceEqual(_parts.Certificate.Trusted) && _parts.Certificate.Issuer is { } issuer && wanted.Contains(issuer))
            {
                CertificatePair.ReplaceAuthorities(_parts.Certificate.Directory, record.Trusted.Select(one => one.Pem));
                _parts.Certificate.Reload();
                _parts.Log($"this node trusts {string.Join(" and ", wanted)} now");
            }

            if (record.Phase == AuthorityPhase.Settled && _parts.Shelf.NextHash == record.Issuing)
            {
                _parts.Shelf.Promote();
                _parts.Log($"the authority {record.Issuing} is the only one; the key of the one before was deleted here");
            }
        }

        _parts.Etcd.Follow(cancellation);
        return Task.CompletedTask;
    }

    private async Task RenewAsync(CancellationToken cancellation)
    {
        var serial = _parts.Certificate.Own.SerialNumber;
        // Until the store has answered, a change of authority may be under way. One that has ended keeps the store from answering.
        if (_trust.Entries is not null || _parts.Certificate.Own.NotAfter < DateTime.Now)
        {
            await _parts.Renewal.RenewIfDueAsync(Authority, cancellation).ConfigureAwait(false);
        }

        _untold |= serial != _parts.Certificate.Own.SerialNumber;
        if (_untold)
        {
            await _parts.Revocations.TellOwnAsync(cancellation).ConfigureAwait(false);
            _untold = false;
        }
    }

    private async Task ReportAsync(CancellationToken cancellation)
    {
        if (_trust.Entries is null)
        {
            return;
        }

        var (own, certificate, guard) = (_parts.Configuration.Node, _parts.Certificate, _parts.Guard.Keys);
        var report = new TrustReport(own, certificate.Trusted, _parts.StoreTrusted(), certificate.Issuer, certificate.Own.SerialNumber, certificate.Own.NotAfter, guard?.Keys ?? [], guard?.SealingKey ?? 0);
        var entry = _trust.Find(_keys.Node(own));
        if (!report.SameAs(entry is null ? null : TrustKeys.ReadReport(entry)))
        {
            _ = IsDone(await _parts.Store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(_keys.Node(own), entry?.ModRevision ?? 0)], [_keys.Put(report)]), cancellation).ConfigureAwait(false));
        }
    }

    private async Task AdvanceAuthorityAsync(CancellationToken cancellation)
    {
        if (Authority is not { } record || _certificates.Entries is null)
        {
            return;
        }

        if (IsOutdated(record))
        {
            var own = _parts.Certificate.Authorities[0];
            _ = IsDone(await PutAsync(new AuthorityRecord([new TrustedAuthority(AuthorityHash.Of(own), own.ExportCertificatePem())], AuthorityHash.Of(own), _parts.Configuration.Node, false, DateTimeOffset.UtcNow), cancellation).ConfigureAwait(false));
        }
        else if (!record.Stepwise && record.Holder == _parts.Configuration.Node && AuthorityPlan.Next(record, Members, Reports) is { } next
            && IsDone(await PutAsync(next, cancellation).ConfigureAwait(false)))
        {
            _parts.Log(next.Phase == AuthorityPhase.Settled ? "every node has a certificate of the new authority: the old one is dropped" : "every node trusts the new certificate authority: it signs from now on");
        }
    }

    /// <summary>The store was restored from before a change that is complete: the key that is here, and this node's own certificate, know better.</summary>
    private bool IsOutdated(AuthorityRecord record) => record.Phase == AuthorityPhase.Settled && _parts.Certificate.Trusted is [var only] && only != record.Issuing
        && only == _parts.Certificate.Issuer && only == _parts.Shelf.CurrentHash;

    private async Task AdvanceGuardKeysAsync(CancellationToken cancellation)
    {
        if (!_parts.IsController() || GuardKeys is not { } ring || _parts.Alive() is not { } alive)
        {
            return;
        }

        var reports = Reports;
        if (alive.All(reports.ContainsKey) && GuardKeyPlan.Next(ring, [.. alive.Select(node => reports[node])], DateTimeOffset.UtcNow, GuardKeyRing.NewKey) is { } next
            && IsDone(await PutAsync(next, cancellation).ConfigureAwait(false)))
        {
            _parts.Log(next.Keys.Count > ring.Keys.Count ? $"the guards get key {next.Keys.Keys.Max()}" : next.Seals != ring.Seals ? $"every guard has key {next.Seals}: it seals from now on" : $"every guard seals with key {next.Seals}: the one before is dropped");
        }
    }

    /// <returns>False when somebody else was quicker: the view brings their step.</returns>
    private static bool IsDone(CommitResult result) => result.Outcome switch
    {
        CommitOutcome.Committed => true,
        CommitOutcome.Conflict => false,
        _ => throw new StoreUnavailableException(result.Reason ?? "no answer"),
    };

    internal static NodeConcern? AuthorityEnds(DateTime end, DateTime now) => end - now > TimeSpan.FromDays(180) ? null
        : new NodeConcern(end - now > TimeSpan.FromDays(60) ? NodeConcern.AuthorityEnds : NodeConcern.AuthorityEndsSoon,
            $"the cluster's certificate authority ends at {end:yyyy-MM-dd}: put another in its place with 'evenkeel ca rotate'");

    private async Task TryAsync(string about, string failed, Func<CancellationToken, Task> act, CancellationToken cancellation)
    {
        try
        {
            await act(cancellation).ConfigureAwait(false);
            _complaints.Remove(about);
        }
        catch (StoreUnavailableException)
        {
            // Said by the feed of the state already; tried again at the next round.
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            if (_complaints.GetValueOrDefault(about) != exception.Message)
            {
                _parts.Log($"{failed}: {exception.Message}");
                _complaints[about] = exception.Message;
            }
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The agent stops.
        }
    }
}
