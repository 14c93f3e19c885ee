using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>How this node reaches the node that it follows: for PostgreSQL's own programs and for our questions.</summary>
internal static class UpstreamConnection
{
    /// <summary>For libpq: <c>primary_conninfo</c>, pg_basebackup, pg_rewind. The host's name is checked against its certificate, its address is where we go.</summary>
    public static string ForPrograms(Upstream upstream, NodeName self, TlsFiles? tls, string? database = null)
    {
        var at = $"host={upstream.Node} hostaddr={upstream.Endpoint.Address} port={upstream.Endpoint.Port} user={HostAccess.Role} application_name={self}"
            + " connect_timeout=3 keepalives_idle=5 keepalives_interval=2 keepalives_count=3";
        var with = tls is null ? " sslmode=disable"
            : $" sslmode=verify-full sslrootcert='{tls.Authority}' sslcert='{tls.Certificate}' sslkey='{tls.Key}'";
        return at + with + (database is null ? "" : $" dbname={database}");
    }

    public static string ForQuestions(Upstream upstream, TlsFiles? tls) => new NpgsqlConnectionStringBuilder
    {
        Host = upstream.Endpoint.Address.ToString(),
        Port = upstream.Endpoint.Port,
        Username = HostAccess.Role,
        Database = "postgres",
        ApplicationName = "evenkeel",
        Pooling = false,
        Timeout = 3,
        CommandTimeout = 5,
        CancellationTimeout = -1,
        SslMode = tls is null ? SslMode.Disable : SslMode.VerifyFull,
        RootCertificate = tls?.Authority,
        SslCertificate = tls?.Certificate,
        SslKey = tls?.Key,
        GssEncryptionMode = GssEncryptionMode.Disable,
    }.ConnectionString;
}
