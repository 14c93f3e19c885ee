using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>One etcd member as Evenkeel runs it. Everything but the first four lines has a sound default.</summary>
public sealed record EtcdMember
{
    /// <summary>The node's name; also the member's name and what its certificate must say.</summary>
    public required NodeName Node { get; init; }
    /// <summary>Holds etcd's data (<c>etcd/</c>), its log (<c>etcd.log</c>) and its number (<c>etcd.pid</c>, for people).</summary>
    public required string StateDirectory { get; init; }
    /// <summary>Where this member answers stores, on the private address.</summary>
    public required PrivateEndpoint Clients { get; init; }
    /// <summary>Every member of the first cluster (or of the one that it joins), this one too, with where it answers its peers.</summary>
    public required IReadOnlyDictionary<NodeName, PrivateEndpoint> Peers { get; init; }
    /// <summary>Directory with <c>ca.crt</c>, <c>node.crt</c>, <c>node.key</c>; null: plain text (loopback, in tests).</summary>
    public string? Certificates { get; init; }
    /// <summary>Keeps members of different clusters apart, also after a mistake in addresses.</summary>
    public string Token { get; init; } = "evenkeel";
    /// <summary>Joins a running cluster (it was added there before) instead of beginning one.</summary>
    public bool Joins { get; init; }
    /// <summary>X.509 revocation list (RFC 5280) that is read at each handshake, so that it can change while etcd runs; null: none.</summary>
    public string? RevocationList { get; init; }
    /// <summary>Where it listens to peers when that is not where they shall reach it (nobody, while it is recovered).</summary>
    public PrivateEndpoint? PeersListener { get; init; }
    /// <summary>Makes the survivor of a lost majority the only member, with all entries that it has. Only on a copy of its data.</summary>
    public bool ForcesNewCluster { get; init; }
    /// <summary>5 ms to 10 s. Architecture: 15 ms on a LAN.</summary>
    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromMilliseconds(15);
    /// <summary>At least five heartbeats (etcd's rule). Architecture: 75 ms on a LAN.</summary>
    public TimeSpan Election { get; init; } = TimeSpan.FromMilliseconds(75);
    /// <summary>The database's size at which etcd stops taking writes and raises an alarm.</summary>
    public long QuotaBytes { get; init; } = 512L << 20;
    /// <summary>Revisions that watches can still begin from.</summary>
    public int KeptRevisions { get; init; } = 20_000;
    /// <summary>The program: a path, or a name to look up in PATH.</summary>
    public string Program { get; init; } = "etcd";

    /// <summary>It gets a cgroup of its own, where that can be.</summary>
    public bool OwnGroup { get; init; }

    /// <summary>It has run here before: it goes on as the member that it was, whatever the arguments say.</summary>
    public bool HasData => Directory.Exists(Path.Combine(DataDirectory, "member"));

    public string DataDirectory => Path.Combine(StateDirectory, "etcd");
    public string LogFile => Path.Combine(StateDirectory, "etcd.log");
    public string PidFile => Path.Combine(StateDirectory, "etcd.pid");

    /// <summary>The arguments, understood by etcd 3.4, 3.5 and 3.6.</summary>
    public IReadOnlyList<string> Arguments()
    {
        var scheme = Certificates is null ? "http" : "https";
        var arguments = new List<string>
        {
            "--name", Node.Value,
            "--data-dir", DataDirectory,
            "--listen-peer-urls", $"{scheme}://{PeersListener ?? Peers[Node]}",
            "--initial-advertise-peer-urls", $"{scheme}://{Peers[Node]}",
            "--listen-client-urls", $"{scheme}://{Clients}",
            "--advertise-client-urls", $"{scheme}://{Clients}",
            "--initial-cluster", string.Join(',', Peers.OrderBy(peer => peer.Key).Select(peer => $"{peer.Key}={scheme}://{peer.Value}")),
            "--initial-cluster-state", Joins ? "existing" : "new",
            "--initial-cluster-token", Token,
            "--heartbeat-interval", Milliseconds(Heartbeat),
            "--election-timeout", Milliseconds(Election),
            "--pre-vote",
            "--strict-reconfig-check",
            "--auto-compaction-mode", "revision",
            "--auto-compaction-retention", KeptRevisions.ToString(System.Globalization.CultureInfo.InvariantCulture),
            "--quota-backend-bytes", QuotaBytes.ToString(System.Globalization.CultureInfo.InvariantCulture),
            "--max-txn-ops", "256",
            "--logger", "zap",
            "--log-level", "warn",
            "--log-outputs", LogFile,
        };
        if (ForcesNewCluster)
        {
            arguments.Add("--force-new-cluster");
        }

        if (Certificates is { } directory)
        {
            string Pem(string file) => Path.Combine(directory, file);
            foreach (var side in (string[])["", "peer-"])
            {
                arguments.AddRange(
                [
                    $"--{side}cert-file", Pem(PrivateConnection.Certificates.NodeCertificate.CertificateFile),
                    $"--{side}key-file", Pem(PrivateConnection.Certificates.NodeCertificate.KeyFile),
                    $"--{side}trusted-ca-file", Pem(PrivateConnection.Certificates.NodeCertificate.AuthorityFile),
                    $"--{side}client-cert-auth",
                ]);
                if (RevocationList is { } revoked)
                {
                    arguments.AddRange([side.Length == 0 ? "--client-crl-file" : "--peer-crl-file", revoked]);
                }
            }
        }

        return arguments;
    }

    private static string Milliseconds(TimeSpan span) =>
        ((int)span.TotalMilliseconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
}
