namespace Evenkeel.Core.Model;

/// <summary>
/// Something that is the matter on one node, that only this node sees, and that somebody should mend: its beats carry it, so that
/// whichever node tells of it can.
/// </summary>
/// <param name="Kind">One of the words below; a reader that does not know it shows the words alone.</param>
/// <param name="What">In words, with the node's name.</param>
public sealed record NodeConcern(string Kind, string What)
{
    /// <summary>The node's certificate ends, and nobody renews it.</summary>
    public const string CertificateEnds = "certificate-ends";
    /// <summary>The cluster's authority ends within half a year.</summary>
    public const string AuthorityEnds = "authority-ends";
    /// <summary>It ends within two months.</summary>
    public const string AuthorityEndsSoon = "authority-ends-soon";
    /// <summary>Clients are not kept out of the private networks, though they could be.</summary>
    public const string PrivateNetworkOpen = "private-network-open";
    /// <summary>Nor can they be: one interface carries both.</summary>
    public const string PrivateNetworkShared = "private-network-shared";
    /// <summary>The control API is not served though the file asks for it.</summary>
    public const string ApiNotServed = "api-not-served";
    /// <summary>The node's member of the managed etcd does not run.</summary>
    public const string EtcdDown = "etcd-down";
    /// <summary>No snapshot of etcd can be taken.</summary>
    public const string SnapshotFails = "snapshot-fails";
    /// <summary>etcd's database has nearly reached its quota, or cannot be looked after.</summary>
    public const string EtcdSpace = "etcd-space";
    /// <summary>The disk that holds etcd's data has little room left.</summary>
    public const string EtcdDiskFull = "etcd-disk-full";
    /// <summary>It takes so long to make a write durable that its member may be taken for lost.</summary>
    public const string EtcdDiskSlow = "etcd-disk-slow";
    /// <summary>etcd counts a member that is no voting node of the file, or does not tell its members.</summary>
    public const string EtcdMembers = "etcd-members";
    /// <summary>A part of the agent has ended by a failure that nobody expected.</summary>
    public const string AgentPartFailed = "agent-part-failed";
}
