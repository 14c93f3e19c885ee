using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Desk;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Trust;

/// <summary>
/// Gets this node a new certificate when two thirds of the present one's life are over, or when another authority signs now: from the
/// node that has the authority's key, over mutual TLS, with the certificate that is still good. The private key is made anew, here.
/// </summary>
/// <param name="peers">The other nodes of the file, with their private addresses; null while the file is not known.</param>
internal sealed class CertificateRenewal(
    AgentConfiguration configuration, NodeCertificate certificate, EnrolmentOffice office, DeskClient desk, Func<IReadOnlyList<NodeSpec>?> peers, TimeProvider time, Action<string> log)
{
    private static readonly TimeSpan Retry = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan AskLimit = TimeSpan.FromSeconds(10);
    private DateTimeOffset _notBefore;
    private string? _complaint;

    /// <summary>What somebody should know: the certificate ends, and nobody renews it.</summary>
    public string? Concern { get; private set; }

    /// <summary>When a certificate is renewed: its first two thirds are over. It counts from when it was signed, not from the day before that it says.</summary>
    public static DateTimeOffset DueAt(DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var signed = notBefore + CertificateAuthority.Backdate;
        return signed >= notAfter ? notAfter : signed + ((notAfter - signed) * (2.0 / 3));
    }

    /// <param name="record">What the cluster says of its authority; null: nothing, it never changed.</param>
    /// <returns>Whether there is a new one, in use already.</returns>
    /// <exception cref="IOException">It cannot be written.</exception>
    public async Task<bool> RenewIfDueAsync(AuthorityRecord? record, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var own = certificate.Own;
        var foreign = record is not null && certificate.Issuer != record.Issuing && certificate.Trusted.Contains(record.Issuing);
        if (!(foreign || now >= DueAt(own.NotBefore, own.NotAfter)) || now < _notBefore)
        {
            return false;
        }

        using var request = new NodeRequest();
        if (await AskAsync(request.ToPem(), record?.Holder, cancellation).ConfigureAwait(false) is not { } issued)
        {
            _notBefore = now + Retry;
            Complain($"the certificate of {configuration.Node} ends at {own.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm}Z and nobody renews it: the node with the authority's key does not answer, or there is none (evenkeel ca status)");
            return false;
        }

        request.Renew(issued, certificate.Directory);
        certificate.Reload();
        (_complaint, Concern, _notBefore) = (null, null, now + Retry);
        log($"the certificate of {configuration.Node} was renewed: {certificate.Own.SerialNumber}, until {certificate.Own.NotAfter.ToUniversalTime():yyyy-MM-dd HH:mm}Z");
        return true;
    }

    private async Task<string?> AskAsync(string request, NodeName? holder, CancellationToken cancellation)
    {
        if (office.Renew(configuration.Node, request) is { } own)
        {
            return own;
        }

        foreach (var peer in (peers() ?? []).OrderBy(peer => peer.Name != holder))
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(AskLimit);
            try
            {
                if (await desk.RenewAsync(peer.Name, peer.Private, request, limit.Token).ConfigureAwait(false) is { } issued)
                {
                    return issued;
                }
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException && !cancellation.IsCancellationRequested)
            {
                // The next one; who has the key may be away for months before it matters.
            }
        }

        return null;
    }

    private void Complain(string concern)
    {
        Concern = concern;
        if (_complaint != concern)
        {
            log(concern);
            _complaint = concern;
        }
    }
}
