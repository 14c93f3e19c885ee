using System.Net;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>PEM files of this node: who signed its peers, who it is. The server gets copies of its own.</summary>
public sealed record TlsFiles(string Authority, string Certificate, string Key);

/// <summary>What the driver must know of the node beside its orders.</summary>
public sealed record PostgreSqlSettings
{
    /// <summary>Each server's output goes to <c>SERVICE.log</c> in here.</summary>
    public required string LogDirectory { get; init; }
    /// <summary>Replication shows and demands certificates of the cluster; null: the nodes' addresses alone are trusted (tests on loopback).</summary>
    public TlsFiles? Tls { get; init; }
    /// <summary>Private addresses of all nodes, as of now: nobody else may replicate.</summary>
    public required Func<IReadOnlyList<IPAddress>> PrivateAddresses { get; init; }
    /// <summary>Whether a node was taken out of the cluster, as of now: PostgreSQL itself knows no revoked certificates.</summary>
    public Func<NodeName, bool> IsRemoved { get; init; } = _ => false;
    /// <summary>What <c>{evenkeel}</c> in a parameter becomes: the program that archives the log, quoted for a shell.</summary>
    public string Program { get; init; } = "evenkeel";
}
