using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Audit;

/// <summary>The audit trail's entries of commands that work on a node's state directory without its agent.</summary>
public static class OfflineAudit
{
    /// <summary>Writes down that it was done, by the user of this process. What cannot be written is said to <paramref name="complain"/>.</summary>
    /// <param name="what">The command and its particulars; never a token or key.</param>
    public static void Add(string stateDirectory, NodeName node, string what, Action<string> complain)
    {
        var user = Caller.Own();
        new AuditTrail(Path.Combine(stateDirectory, "audit.jsonl"), complain).Add(new AuditEntry(DateTimeOffset.UtcNow, node, user.User, user.Name, user.Process, what, "done", null));
    }
}
