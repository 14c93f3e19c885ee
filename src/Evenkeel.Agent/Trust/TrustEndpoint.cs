using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Trust;

/// <summary>Where operators look at what the cluster trusts, and have it changed.</summary>
internal sealed class TrustEndpoint(AgentConfiguration configuration, NodeCertificate certificate, AuthorityShelf shelf, TrustKeeper keeper)
{
    public void Map(WebApplication application)
    {
        application.MapGet(ControlRoutes.Authority, (RequestDelegate)(http => ControlEndpoints.Send(http, (Answer<TrustStatus>)Status(), ControlJson.Default.TrustStatus)));
        application.MapPost(ControlRoutes.AuthorityRotation, (RequestDelegate)(http => ControlEndpoints.Receive(http, ControlJson.Default.AuthorityRotation, async order =>
            await ControlEndpoints.Send(http, await RotateAsync(order, http.RequestAborted).ConfigureAwait(false), ControlJson.Default.Done).ConfigureAwait(false))));
        application.MapPost(ControlRoutes.GuardKeys, (RequestDelegate)(async http =>
            await ControlEndpoints.Send(http, await RenewGuardKeysAsync(http.RequestAborted).ConfigureAwait(false), ControlJson.Default.Done).ConfigureAwait(false)));
    }

    /// <summary>The key that seals guards' datagrams now is to be replaced.</summary>
    public async Task<Answer<Done>> RenewGuardKeysAsync(CancellationToken cancellation)
    {
        for (var attempt = 0; attempt < 5; attempt++)
        {
            if (keeper.GuardKeys is not { } ring)
            {
                return NotKnown;
            }

            // A change that is under way brings a key that whoever is to be shut out may have seen: the one after it counts.
            var result = await keeper.PutAsync(ring with { Unwanted = ring.Keys.Keys.Max() }, cancellation).ConfigureAwait(false);
            if (result.Outcome != CommitOutcome.Conflict)
            {
                return result.Outcome == CommitOutcome.Committed ? new Done("the guards get another key; no lease waits for it (evenkeel ca status)") : NotCommitted(result);
            }

            await Task.Delay(TimeSpan.FromMilliseconds(100), cancellation).ConfigureAwait(false);
        }

        return new Problem(ProblemKind.Unavailable, "the guards' keys are being changed by somebody else", "Ask again in a moment");
    }

    private static Problem NotKnown => new(ProblemKind.Unavailable, "the coordination store has not answered this agent yet", "See evenkeel status");

    private static Problem NotCommitted(CommitResult result) => new(ProblemKind.Unavailable, $"the coordination store did not take it: {result.Reason}", "See evenkeel status");

    private TrustStatus Status()
    {
        var record = keeper.Authority;
        var (reports, ring) = (keeper.Reports, keeper.GuardKeys);
        var issuing = record?.Issuing ?? certificate.Issuer;
        var waits = record is null ? new Dictionary<NodeName, string>() : AuthorityPlan.WaitsFor(record, keeper.Members, reports).ToDictionary(one => one.Node, one => one.Lacks);
        // The record's, where it says more: this node may be behind.
        var known = record is null ? certificate.Authorities.Select(one => (AuthorityHash.Of(one), Pem: one.ExportCertificatePem(), Ends: new DateTimeOffset(one.NotAfter)))
            : record.Trusted.Select(one => (one.Hash, one.Pem, EndOf(one.Pem)));
        var nodes = keeper.Members.Concat(reports.Keys.Where(keeper.Members.Contains)).Distinct().Order().Select(node => (Node: node, Report: reports.GetValueOrDefault(node)));
        return new TrustStatus(
            record?.Phase ?? AuthorityPhase.Settled, [.. known.Select(one => new AuthorityEntry(one.Item1, one.Pem, one.Item3, one.Item1 == issuing))],
            record?.Holder ?? (shelf.CurrentHash is not null ? configuration.Node : null), record?.Stepwise ?? false,
            [.. nodes.Select(one => new NodeTrust(one.Node, one.Report?.Issuer, one.Report?.Serial, one.Report?.Ends, one.Report?.GuardKeys ?? [], one.Report?.GuardSeals ?? 0, waits.GetValueOrDefault(one.Node)))],
            [.. ring?.Keys.Keys.Order() ?? Enumerable.Empty<int>()], ring?.Seals ?? 0, ring is { Since: var since } && since > DateTimeOffset.MinValue ? since : null);
    }

    private static DateTimeOffset EndOf(string pem)
    {
        using var authority = System.Security.Cryptography.X509Certificates.X509Certificate2.CreateFromPem(pem);
        return authority.NotAfter;
    }

    private async Task<Answer<Done>> RotateAsync(AuthorityRotation order, CancellationToken cancellation)
    {
        if (keeper.Members.Count == 0)
        {
            return NotKnown;
        }

        return keeper.Authority is { Phase: not AuthorityPhase.Settled } record ? await GoOnAsync(record, order, cancellation).ConfigureAwait(false) : await BeginAsync(order, cancellation).ConfigureAwait(false);
    }

    private async Task<Answer<Done>> BeginAsync(AuthorityRotation order, CancellationToken cancellation)
    {
        var issuing = keeper.Authority?.Issuing ?? certificate.Issuer;
        if (certificate.Authorities is not [var present] || AuthorityHash.Of(present) != issuing)
        {
            return new Problem(ProblemKind.Refused, "this node is not through with the last change of the authority", "Look at evenkeel ca status; ask again when it says 'settled'");
        }

        using (var own = shelf.Find(issuing))
        {
            if (own is null && !order.LostKey)
            {
                return new Problem(ProblemKind.Refused, $"{configuration.Node} has not the key of the authority {issuing}",
                    $"Ask on the node that has it{(keeper.Authority is { } last && last.Holder != configuration.Node ? $": {last.Holder}" : " (ca/ca.key below its state directory)")}. If the key is lost for good: evenkeel ca rotate --lost-key, here");
            }

            if (own is not null && order.LostKey)
            {
                return new Problem(ProblemKind.Refused, $"the key is not lost: {configuration.Node} has it", "evenkeel ca rotate");
            }
        }

        TrustedAuthority next;
        try
        {
            next = shelf.PrepareNext(configuration.Cluster);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new Problem(ProblemKind.Unavailable, $"the new authority's key cannot be kept: {exception.Message}", "Is the state directory's disk full or read-only?");
        }

        var record = new AuthorityRecord([new TrustedAuthority(AuthorityHash.Of(present), present.ExportCertificatePem()), next], issuing, configuration.Node, order.Stepwise, DateTimeOffset.UtcNow);
        var result = await keeper.PutAsync(record, cancellation).ConfigureAwait(false);
        return result.Outcome == CommitOutcome.Committed ? new Done($"the authority {next.Hash} takes the place of {issuing}: every node learns to trust it beside the old one") : NotCommitted(result);
    }

    private async Task<Answer<Done>> GoOnAsync(AuthorityRecord record, AuthorityRotation order, CancellationToken cancellation)
    {
        if (!order.Stepwise)
        {
            var result = await keeper.PutAsync(record with { Stepwise = false }, cancellation).ConfigureAwait(false);
            return result.Outcome == CommitOutcome.Committed ? new Done("the change of the authority goes on by itself, as fast as the nodes report") : NotCommitted(result);
        }

        if (AuthorityPlan.Next(record, keeper.Members, keeper.Reports) is not { } next)
        {
            var waits = AuthorityPlan.WaitsFor(record, keeper.Members, keeper.Reports);
            return new Problem(ProblemKind.Refused, $"the next phase has to wait: {string.Join("; ", waits.Select(one => $"{one.Node} {one.Lacks}"))}",
                "Bring the node back, or take it out for good with 'evenkeel remove'");
        }

        var stepped = await keeper.PutAsync(next with { Stepwise = true }, cancellation).ConfigureAwait(false);
        return stepped.Outcome == CommitOutcome.Committed
            ? new Done(next.Phase == AuthorityPhase.Settled ? "the old authority is dropped" : "the new authority signs: every node gets a certificate of it") : NotCommitted(stepped);
    }
}
