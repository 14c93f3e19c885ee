using Evenkeel.Agent.Trust;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Local;

/// <summary>What a new cluster begins with: certificates for its nodes, and in the store its first incarnation, its spec and its guards' key.</summary>
internal static class ClusterInitialState
{
    /// <summary>The launcher's own name in its certificate; no node can be called so (names begin with a letter).</summary>
    public static readonly NodeName Launcher = new("-launcher");

    public static void IssueCertificates(ClusterSpec spec, Func<NodeName, string> directoryOf)
    {
        using var authority = CertificateAuthority.Create(spec.Cluster);
        foreach (var node in spec.Nodes.Values)
        {
            authority.IssueNode(node.Name, node.Private, directoryOf(node.Name));
        }

        authority.IssueNode(Launcher, [], directoryOf(Launcher));
    }

    /// <summary>Only where the store holds no spec yet.</summary>
    public static Transaction First(ClusterSpec spec, string source)
    {
        var codec = new StateCodec(spec.Cluster);
        return new Transaction(
            Guid.NewGuid(),
            [new Compare(codec.Keys.Spec, 0)],
            [codec.PutIncarnation(1), codec.Put(spec), new Write(codec.Keys.SpecSource, System.Text.Encoding.UTF8.GetBytes(source)), .. GuardKeyRing.First(DateTimeOffset.UtcNow).Writes(spec.Cluster)]);
    }
}
