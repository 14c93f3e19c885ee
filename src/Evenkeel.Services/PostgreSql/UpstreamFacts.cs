using System.Text;
using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>What a node that shall be followed says of its log; read as the replication role.</summary>
/// <param name="Settled">It is a primary, and its control file knows its timeline: right after a promotion pg_rewind would still read the old one (before 16).</param>
/// <param name="Oldest">The number of the oldest segment that it still has.</param>
/// <param name="Slots">Its slots with the position that each holds.</param>
internal sealed record UpstreamFacts(string System, bool Settled, TimelineHistory History, long Oldest, IReadOnlyDictionary<string, long> Slots)
{
    private const string Question = """
        SELECT (SELECT system_identifier::text FROM pg_control_system()),
               pg_is_in_recovery(),
               (SELECT timeline_id FROM pg_control_checkpoint()),
               CASE WHEN pg_is_in_recovery() THEN (SELECT timeline_id FROM pg_control_checkpoint())
                    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
               (SELECT bytes_per_wal_segment FROM pg_control_init()),
               (SELECT coalesce(string_agg(name, ' '), '') FROM pg_ls_dir('pg_wal', true, false) AS name WHERE length(name) = 24),
               (SELECT coalesce(string_agg(slot_name || '=' || restart_lsn, ' '), '') FROM pg_replication_slots WHERE restart_lsn IS NOT NULL)
        """;

    /// <exception cref="NpgsqlException">It cannot be asked; says why.</exception>
    public static async Task<UpstreamFacts> AskAsync(string connection, CancellationToken cancellation)
    {
        await using var link = new NpgsqlConnection(connection);
        await link.OpenAsync(cancellation).ConfigureAwait(false);
        await using var command = new NpgsqlCommand(Question, link);
        await using var reader = await command.ExecuteReaderAsync(cancellation).ConfigureAwait(false);
        await reader.ReadAsync(cancellation).ConfigureAwait(false);
        var (system, recovering, written, timeline, segment) = (reader.GetString(0), reader.GetBoolean(1), reader.GetInt32(2), reader.GetInt32(3), (long)reader.GetInt32(4));
        var files = reader.GetString(5).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var slots = reader.GetString(6).Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(slot => slot.Split('='))
            .ToDictionary(slot => slot[0], slot => WalPosition.Parse(slot[1]), StringComparer.Ordinal);
        await reader.CloseAsync().ConfigureAwait(false);
        var history = "";
        if (timeline > 1)
        {
            await using var read = new NpgsqlCommand($"SELECT pg_read_binary_file('pg_wal/{timeline:X8}.history')", link);
            history = Encoding.UTF8.GetString((byte[])(await read.ExecuteScalarAsync(cancellation).ConfigureAwait(false))!);
        }

        return new UpstreamFacts(system, !recovering && written == timeline, TimelineHistory.Parse(timeline, history),
            files.Select(file => WalPosition.SegmentOf(file, segment)).Min() ?? 0, slots);
    }
}
