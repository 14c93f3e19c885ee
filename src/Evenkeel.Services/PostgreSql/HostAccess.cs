using System.Net;
using System.Net.Sockets;
using System.Text;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// The texts of <c>pg_hba.conf</c> and <c>pg_ident.conf</c>: the first line that matches decides, so ours come first, and the
/// replication role is refused to everybody else before a user's line could let it in.
/// </summary>
internal static class HostAccess
{
    public const string Role = "evenkeel_replication";
    private const string Map = "evenkeel";

    public static string Text(IEnumerable<IPAddress> nodes, bool certificates, IReadOnlyList<string> users)
    {
        var text = new StringBuilder("# Written by Evenkeel: change pg_hba in cluster.yaml instead.\n");
        // The socket's directory is open to the server's user and root alone.
        text.Append("local all all trust\nlocal replication all trust\n");
        foreach (var network in nodes.Select(Network).Distinct().Order(StringComparer.Ordinal))
        {
            foreach (var database in (string[])["replication", "postgres"])
            {
                text.Append(certificates ? "hostssl " : "host ").Append(database).Append(' ').Append(Role).Append(' ').Append(network)
                    .Append(certificates ? $" cert map={Map}\n" : " trust\n");
            }
        }

        text.Append("host all ").Append(Role).Append(" all reject\nhost replication ").Append(Role).Append(" all reject\n");
        foreach (var line in users.Count > 0 ? users : ["host all all all scram-sha-256"])
        {
            text.Append(line).Append('\n');
        }

        return text.ToString();
    }

    /// <summary>Certificates of these nodes may take the replication role.</summary>
    public static string Identities(IEnumerable<NodeName> nodes) =>
        string.Concat(nodes.Distinct().Order().Select(node => $"{Map} \"{node}\" {Role}\n"));

    /// <summary>Ends connections of the replication role that come from elsewhere.</summary>
    public static string EndOthers(IEnumerable<IPAddress> nodes) =>
        $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{Role}' AND client_addr IS NOT NULL AND NOT client_addr <<= ANY ('{{{string.Join(',', nodes.Select(Network).Distinct())}}}'::inet[])";

    // Connections between loopback addresses come from 127.0.0.1, whichever address the other node has.
    private static string Network(IPAddress address) => IPAddress.IsLoopback(address) && address.AddressFamily == AddressFamily.InterNetwork ? "127.0.0.0/8"
        : $"{address}/{(address.AddressFamily == AddressFamily.InterNetwork ? 32 : 128)}";
}
