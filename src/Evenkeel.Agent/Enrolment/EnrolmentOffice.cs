using System.Net;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Local;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Makes tokens for nodes of the cluster's file, and nodes of those who bring one. Every attempt is in the log and on the audit trail.</summary>
internal sealed class EnrolmentOffice
{
    private readonly AgentConfiguration _own;
    private readonly Func<ClusterSpec?> _spec;
    private readonly AuditTrail _trail;
    private readonly Action<string> _log;
    private readonly string _authorityDirectory;
    private readonly string _authorityHash;
    private readonly TokenBook _tokens;

    private EnrolmentOffice(AgentConfiguration own, Func<ClusterSpec?> spec, AuditTrail trail, Action<string> log, string directory, CertificateAuthority authority)
    {
        (_own, _spec, _trail, _log, _authorityDirectory) = (own, spec, trail, log, directory);
        _tokens = new TokenBook(Path.Combine(directory, "tokens.json"), TimeProvider.System);
        (AuthorityPem, _authorityHash) = (authority.CertificatePem, authority.Hash);
    }

    public string AuthorityPem { get; }

    /// <param name="spec">The committed one; null while it is not known.</param>
    /// <returns>Null when this node has not the authority's key: another one enrols.</returns>
    public static EnrolmentOffice? Open(AgentConfiguration own, Func<ClusterSpec?> spec, AuditTrail trail, Action<string> log)
    {
        var directory = Path.Combine(own.StateDirectory, NodeSetup.AuthorityDirectory);
        if (!File.Exists(Path.Combine(directory, CertificateAuthority.KeyFile)))
        {
            return null;
        }

        try
        {
            using var authority = CertificateAuthority.Load(directory);
            return new EnrolmentOffice(own, spec, trail, log, directory, authority);
        }
        catch (InvalidDataException exception)
        {
            log($"no node can enrol here: {exception.Message}");
            return null;
        }
    }

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
            return new NewToken(order.Node, _tokens.Issue(order.Node, order.Lifetime), _own.Private[0], _authorityHash, DateTimeOffset.UtcNow + order.Lifetime);
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
            return Refuse("somebody", from, "the request is not one");
        }

        if (Spec() is not { } spec || !spec.Nodes.TryGetValue(request.Node, out var node))
        {
            return Refuse(request.Node.Value, from, "the cluster's file has no such node");
        }

        try
        {
            if (_tokens.Take(request.Node, request.Token) is { } reason)
            {
                return Refuse(request.Node.Value, from, reason);
            }

            using var authority = CertificateAuthority.Load(_authorityDirectory);
            var certificate = authority.Sign(request.Request, node.Name, node.Private);
            WriteDown(request.Node.Value, from, "done", null);
            _log($"{node.Name} enrolled from {from}");
            return new EnrolmentAnswer(certificate, NodeSetup.Describe(_own, spec, node), node.Public?.ToString(), File.ReadAllText(_own.FirstFile!));
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return Refuse(request.Node.Value, from, exception.Message);
        }
    }

    // Before the first commit (the voters are still to come) the file that this node was made with says who they are.
    private ClusterSpec? Spec() => _spec() ?? (_own.FirstFile is { } file && File.Exists(file)
        ? Configuration.ClusterFile.Parse(File.ReadAllText(file), file).Spec : null);

    private EnrolmentAnswer? Refuse(string node, IPAddress? from, string reason)
    {
        WriteDown(node, from, "refused", reason);
        _log($"refused to enrol {node} from {from}: {reason}");
        return null;
    }

    private void WriteDown(string node, IPAddress? from, string outcome, string? said) =>
        _trail.Add(new AuditEntry(DateTimeOffset.UtcNow, _own.Node, null, $"{from}", null, $"enrol {node}", outcome, said));
}
