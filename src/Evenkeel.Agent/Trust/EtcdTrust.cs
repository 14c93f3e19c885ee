using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Trust;

/// <summary>
/// etcd reads the authorities that it trusts when it starts (its certificate and the revocation list, at each handshake). So when they
/// change, members are started anew, one at a time, the lead given away first: the store goes on, and leases do not need it meanwhile.
/// </summary>
internal sealed class EtcdTrust(AgentConfiguration configuration, ManagedEtcd etcd, NodeCertificate certificate, ICoordinationStore store, Action<string> log) : IDisposable
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(100);
    private readonly EtcdTurn _turn = new(store, configuration.Cluster, configuration.Node.Value);
    private readonly EtcdMaintenance? _maintenance = etcd.Member is { } member ? new(new EtcdEndpoint(member.Clients, member.Node), certificate, member.QuotaBytes, log) : null;
    private Task _restart = Task.CompletedTask;
    private bool _clean;

    /// <summary>Begins what is to be done, and returns at once.</summary>
    public void Follow(CancellationToken cancellation)
    {
        if (!_restart.IsCompleted)
        {
            return;
        }

        if (IsDue)
        {
            _restart = RestartAsync(cancellation);
        }
        else if (!_clean)
        {
            _restart = GiveBackAsync(cancellation);
        }
    }

    public void Dispose() => _maintenance?.Dispose();

    /// <summary>An agent that died between the start of its etcd and the end of its turn: the others need not wait for that end.</summary>
    private async Task GiveBackAsync(CancellationToken cancellation)
    {
        try
        {
            _clean = _maintenance is null || await _turn.GiveBackAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The agent stops.
        }
    }

    // What one that an earlier version started trusts is not known: it is left alone until it matters.
    private bool IsDue => _maintenance is not null && etcd.Trusted is { } trusted && (trusted.Count > 0 ? !trusted.SequenceEqual(certificate.Trusted) : certificate.Trusted.Count > 1);

    private async Task RestartAsync(CancellationToken cancellation)
    {
        try
        {
            if (!await _turn.TakeAsync(cancellation).ConfigureAwait(false))
            {
                return;
            }

            using var members = etcd.OpenMembers();
            if (await WhyNotNowAsync(members, cancellation).ConfigureAwait(false))
            {
                await _turn.GiveBackAsync(cancellation).ConfigureAwait(false);
                return;
            }

            await YieldLeadAsync(members, cancellation).ConfigureAwait(false);
            await etcd.RestartAsync().WaitAsync(Patience, cancellation).ConfigureAwait(false);
            await AnswersAsync(cancellation).ConfigureAwait(false);
            log("etcd was started anew: the authorities that it trusts have changed");
            _clean = false;
            await _turn.GiveBackAsync(cancellation).ConfigureAwait(false);
        }
        catch (Exception exception) when (exception is StoreUnavailableException or TimeoutException or MembershipRefusedException)
        {
            // Looked at again at the next round; the turn ends by itself.
        }
        catch (OperationCanceledException) when (cancellation.IsCancellationRequested)
        {
            // The agent stops; the next one goes on.
        }
    }

    /// <summary>Another voter is away: without this one too there might be no majority.</summary>
    private async Task<bool> WhyNotNowAsync(EtcdMembership members, CancellationToken cancellation)
    {
        var voters = (await members.ListAsync(cancellation).ConfigureAwait(false)).Where(one => !one.Learner).ToList();
        var answering = await members.AnsweringAsync(cancellation).ConfigureAwait(false);
        var others = voters.Count(one => one.Name != configuration.Node.Value && answering.Contains(one.Id));
        return voters.Count > 2 && others < (voters.Count / 2) + 1;
    }

    // One that does not answer us (it may not trust our certificate any more) is started anew all the more.
    private async Task YieldLeadAsync(EtcdMembership members, CancellationToken cancellation)
    {
        try
        {
            await _maintenance!.YieldLeadAsync(members, cancellation).ConfigureAwait(false);
        }
        catch (StoreUnavailableException exception)
        {
            log($"etcd is started anew though it could not give its lead away first: {exception.Message}");
        }
    }

    private async Task AnswersAsync(CancellationToken cancellation)
    {
        for (var until = DateTime.UtcNow + Patience; ;)
        {
            try
            {
                _ = await _maintenance!.SizeAsync(cancellation).ConfigureAwait(false);
                return;
            }
            catch (StoreUnavailableException) when (DateTime.UtcNow < until)
            {
                await Task.Delay(Period, cancellation).ConfigureAwait(false);
            }
        }
    }
}
