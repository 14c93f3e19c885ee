using System.Net;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Local;
using Evenkeel.Agent.Setup;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Makes tokens for nodes of the cluster's file, nodes of those who bring one, and new certificates for nodes; all where the authority's key is. Every attempt is in the log and on the audit trail.</summary>
internal sealed class EnrolmentOffice
{
    private readonly AgentConfiguration _own;
    private readonly Func<ClusterSpec?> _spec;
    private readonly AuditTrail _trail;
    private readonly Action<string> _log;
    private readonly NodeCertificate _certificate;
    private readonly AuthorityShelf _shelf;
    private readonly Func<string?> _issuing;
    private readonly TokenBook _tokens;
    private readonly RefusalTrail _refusals;

    /// <param name="spec">The committed one; null while it is not known.</param>
    /// <param name="issuing">Hash of the authority that signs today, as the cluster says; null when it does not say.</param>
    public EnrolmentOffice(AgentConfiguration own, NodeCertificate certificate, AuthorityShelf shelf, Func<string?> issuing, Func<ClusterSpec?> spec, AuditTrail trail, RefusalTrail refusals, Action<string> log)
    {
        (_own, _certificate, _shelf, _issuing, _spec, _trail, _refusals, _log) = (own, certificate, shelf, issuing, spec, trail, refusals, log);
        _tokens = new TokenBook(Path.Combine(shelf.Current, "tokens.json"), TimeProvider.System);
        Issued = new IssuedBook(own.StateDirectory);
    }

    /// <summary>What was signed here.</summary>
    public IssuedBook Issued { get; }

    /// <summary>The authority that has signed this node's own certificate, by which newcomers know it.</summary>
    public string AuthorityPem => (Own ?? _certificate.Authorities[0]).ExportCertificatePem() + "\n";

    /// <summary>The key of the authority that signs today is here. Looked for at each call: it may come, go and change.</summary>
    public bool CanSign
    {
        get
        {
            using var authority = Issuing();
            return authority is not null;
        }
    }

    private X509Certificate2? Own => _certificate.Authorities.FirstOrDefault(one => AuthorityHash.Of(one) == _certificate.Issuer);

    /// <summary>A certificate for a node whose present one was shown: its own key's, and its addresses as the file has them today.</summary>
    /// <returns>PEM; null when this office cannot, or the request is none.</returns>
    public string? Renew(NodeName node, string request)
    {
        try
        {
            using var authority = Issuing();
            if (authority is null || Spec() is not { } spec || !spec.Nodes.TryGetValue(node, out var member))
            {
                return null;
            }

            var certificate = authority.Sign(request, node, member.Private);
            Issued.Add(node, certificate);
            WriteDown($"renew {node}", node.Value, "done", $"signed by {authority.Hash}");
            _log($"{node} has a new certificate");
            return certificate;
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            WriteDown($"renew {node}", node.Value, "refused", exception.Message);
            _log($"no new certificate for {node}: {exception.Message}");
            return null;
        }
    }

    private CertificateAuthority? Issuing() => _shelf.Find(_issuing() ?? _certificate.Issuer);

    /// <summary>Why no token can be made, without making one; null when it can.</summary>
    public Problem? WhyNot(TokenOrder order)
    {
        if (order.Lifetime <= TimeSpan.Zero || order.Lifetime > TokenBook.Longest)
        {
            return new Problem(ProblemKind.Malformed, $"a token lasts for more than nothing and at most {TokenBook.Longest.TotalDays:0} days");
        }

        if (Spec() is not { } spec)
        {
            return new Problem(ProblemKind.Unavailable, "the cluster's file is not known to this agent yet", "Look again in a second");
        }

        if (!spec.Nodes.ContainsKey(order.Node))
        {
            return new Problem(ProblemKind.Unknown, $"the cluster's file has no node '{order.Node}'; it has {string.Join(", ", spec.Nodes.Keys.Order())}",
                "Add it to the file first: evenkeel apply cluster.yaml");
        }

        if (order.Node == _own.Node)
        {
            return new Problem(ProblemKind.Refused, $"{order.Node} is the node that answers: it need not join");
        }

        return null;
    }

    /// <summary>A token with all that its node must know to use it.</summary>
    public Answer<NewToken> Issue(TokenOrder order)
    {
        if (WhyNot(order) is { } refused)
        {
            return refused;
        }

        try
        {
            return new NewToken(order.Node, _tokens.Issue(order.Node, order.Lifetime), _own.Private[0], _certificate.Issuer ?? _certificate.Trusted[0], DateTimeOffset.UtcNow + order.Lifetime);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return new Problem(ProblemKind.Unavailable, $"the token cannot be kept: {exception.Message}", "Is the state directory's disk full or read-only?");
        }
    }

    /// <summary>The node is taken out: what could still enrol it ends.</summary>
    public void Cancel(NodeName node) => _tokens.Cancel(node);

    /// <summary>Null when refused; who asked is told no more than that.</summary>
    public EnrolmentAnswer? Enrol(EnrolmentRequest? request, IPAddress? from)
    {
        if (request is not { Token: not null, Request: not null } || request.Node == default)
        {
            return Refuse(null, from, "the request is not one");
        }

        if (Spec() is not { } spec || !spec.Nodes.TryGetValue(request.Node, out var node))
        {
            return Refuse(null, from, "the cluster's file has no such node");
        }

        try
        {
            if (_tokens.Take(request.Node, request.Token) is { } reason)
            {
                return Refuse(node.Name, from, reason);
            }

            using var authority = Issuing() ?? throw new InvalidDataException("the key of the authority that signs today is not here");
            var certificate = authority.Sign(request.Request, node.Name, node.Private);
            Issued.Add(node.Name, certificate);
            WriteDown($"enrol {request.Node}", $"{from}", "done", null);
            _log($"{node.Name} enrolled from {from}");
            return new EnrolmentAnswer(certificate, NodeSetup.Describe(_own, spec, node), node.Public?.ToString(), File.ReadAllText(_own.FirstFile!))
            {
                Authorities = [.. _certificate.Authorities.Select(one => one.ExportCertificatePem() + "\n")],
            };
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return Refuse(node.Name, from, exception.Message);
        }
    }

    // Before the first commit (the voters are still to come) the file that this node was made with says who they are.
    private ClusterSpec? Spec() => _spec() ?? (_own.FirstFile is { } file && File.Exists(file)
        ? Configuration.ClusterFile.Parse(File.ReadAllText(file), file).Spec : null);

    /// <param name="node">Null: none of the file's, and then what a stranger calls itself is not repeated.</param>
    private EnrolmentAnswer? Refuse(NodeName? node, IPAddress? from, string reason)
    {
        _refusals.Add("enrolment", $"{from}", reason, node is { } named ? $"enrol {named}" : "enrol");
        return null;
    }

    private void WriteDown(string what, string who, string outcome, string? said) =>
        _trail.Add(new AuditEntry(DateTimeOffset.UtcNow, _own.Node, null, who, null, what, outcome, said));
}
