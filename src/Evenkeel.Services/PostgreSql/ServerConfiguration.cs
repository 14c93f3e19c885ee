using System.Text;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// The texts of our configuration files. <c>evenkeel.conf</c>, included at the end of <c>postgresql.conf</c>, holds what we
/// propose, then what the user wants, then what must be; <c>evenkeel.replication.conf</c> what changes while it runs. What
/// ALTER SYSTEM must not change either stands on the command line.
/// </summary>
internal static class ServerConfiguration
{
    public const string MainFile = "evenkeel.conf";
    public const string ReplicationFile = "evenkeel.replication.conf";
    public const string AccessFile = "evenkeel.hba.conf";
    public const string IdentityFile = "evenkeel.ident.conf";
    public const string Include = $"include '{MainFile}'";

    private static readonly (string Name, string Value)[] s_proposed =
    [
        ("max_wal_senders", "16"), ("max_replication_slots", "16"), ("wal_keep_size", "256MB"), ("max_slot_wal_keep_size", "16GB"),
        ("wal_level", "replica"), ("hot_standby_feedback", "off"), ("synchronous_commit", "on"),
        // A cut peer is noticed in seconds and tried again often, instead of once a minute and every five seconds.
        ("wal_sender_timeout", "10s"), ("wal_receiver_timeout", "10s"), ("wal_retrieve_retry_interval", "200ms"),
    ];

    public static string Main(IReadOnlyDictionary<string, string> parameters, string dataDirectory, TlsFiles? tls)
    {
        var text = new StringBuilder("# Written by Evenkeel at each start: change cluster.yaml instead.\n");
        foreach (var (name, value) in s_proposed)
        {
            Line(text, name, value);
        }

        foreach (var (name, value) in parameters.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            Line(text, name, value);
        }

        Line(text, "wal_log_hints", "on");
        Line(text, "recovery_target_timeline", "latest");
        Line(text, "hba_file", Path.Combine(dataDirectory, AccessFile));
        Line(text, "ident_file", Path.Combine(dataDirectory, IdentityFile));
        Line(text, "ssl", tls is null ? "off" : "on");
        if (tls is not null)
        {
            Line(text, "ssl_ca_file", tls.Authority);
            Line(text, "ssl_cert_file", tls.Certificate);
            Line(text, "ssl_key_file", tls.Key);
        }

        return text.Append("include '").Append(ReplicationFile).Append("'\n").ToString();
    }

    public static string Replication(string synchronousNames, string? connection, string? slot)
    {
        var text = new StringBuilder("# Written by Evenkeel whenever the cluster decides anew.\n");
        Line(text, "synchronous_standby_names", synchronousNames);
        Line(text, "primary_conninfo", connection ?? "");
        Line(text, "primary_slot_name", slot ?? "");
        return text.ToString();
    }

    /// <summary>What stands on the command line: a change of it needs a restart.</summary>
    public static IReadOnlyList<string> Command(string postgres, string dataDirectory, string addresses, int port, string socketDirectory) =>
    [
        postgres, "-D", dataDirectory,
        "-c", "listen_addresses=" + addresses, "-c", $"port={port}", "-c", "unix_socket_directories=" + socketDirectory,
        "-c", "unix_socket_permissions=0700", "-c", "hot_standby=on", "-c", "restart_after_crash=off",
    ];

    // Backslashes are escapes in quoted values (config file grammar, guc-file.l).
    private static void Line(StringBuilder text, string name, string value) => text.Append(name).Append(" = '")
        .Append(value.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("'", "''", StringComparison.Ordinal)).Append("'\n");
}
