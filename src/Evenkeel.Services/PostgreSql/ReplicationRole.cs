namespace Evenkeel.Services.PostgreSql;

/// <summary>The role that nodes replicate as, with the rights that pg_rewind needs (its documentation, "Notes"); made on the primary, copied to all.</summary>
internal static class ReplicationRole
{
    private const string Ensure = """
        DO $do$ BEGIN
          IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'evenkeel_replication') THEN
            CREATE ROLE evenkeel_replication LOGIN REPLICATION;
          END IF;
          IF NOT has_function_privilege('evenkeel_replication', 'pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean)', 'EXECUTE')
             OR NOT has_function_privilege('evenkeel_replication', 'pg_catalog.pg_read_binary_file(text)', 'EXECUTE')
             OR NOT has_function_privilege('evenkeel_replication', 'pg_catalog.pg_stat_file(text, boolean)', 'EXECUTE')
             OR NOT has_function_privilege('evenkeel_replication', 'pg_catalog.pg_ls_dir(text, boolean, boolean)', 'EXECUTE') THEN
            GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_dir(text, boolean, boolean), pg_catalog.pg_stat_file(text, boolean),
              pg_catalog.pg_read_binary_file(text), pg_catalog.pg_read_binary_file(text, bigint, bigint, boolean) TO evenkeel_replication;
          END IF;
        END $do$
        """;

    /// <exception cref="Npgsql.NpgsqlException">The server refuses.</exception>
    /// <exception cref="TimeoutException">No answer in time.</exception>
    public static Task EnsureAsync(LocalConnection server, CancellationToken cancellation) => server.AskAsync(Ensure, TimeSpan.FromSeconds(10), cancellation);
}
