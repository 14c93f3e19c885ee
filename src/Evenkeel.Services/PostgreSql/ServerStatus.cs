using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <param name="FlushedTo">So far it has the log on disk, as it last said.</param>
internal sealed record Follower(NodeName Node, bool Streaming, bool Synchronous, long FlushedTo);

/// <summary>What a running server says of itself: one question, cheap enough for ten times a second.</summary>
/// <param name="Position">Primary: flushed so far. Standby: received or replayed so far, whichever is further.</param>
/// <param name="Names">The setting synchronous_standby_names.</param>
/// <param name="Timeline">
/// Of <paramref name="Position"/>. A standby whose receiver has ended: the latest that its log has a file of, for the control file names a new
/// one only after the next checkpoint, and the furthest standby would pass for one that was left behind.
/// </param>
/// <param name="Receiving">A standby's receiver is streaming.</param>
/// <param name="Transactions">The number that the next writing transaction gets.</param>
internal sealed record ServerStatus(bool Recovering, long Position, int Timeline, string Names, bool Receiving, IReadOnlyList<Follower> Followers, long Transactions)
{
    /// <summary>A standby has a receiver, whether or not it streams just now.</summary>
    public bool Attached { get; init; } = Receiving;

    public const string Question = """
        SELECT r,
               CASE WHEN r THEN pg_wal_lsn_diff(greatest(coalesce(pg_last_wal_receive_lsn(), '0/0'), coalesce(pg_last_wal_replay_lsn(), '0/0')), '0/0')
                    ELSE pg_wal_lsn_diff(pg_current_wal_flush_lsn(), '0/0') END::bigint,
               CASE WHEN r THEN coalesce((SELECT received_tli FROM pg_stat_wal_receiver),
                                         (SELECT greatest(c.timeline_id, m.min_recovery_end_timeline, (SELECT max(('x' || left(name, 8))::bit(32)::int) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$'))
                                            FROM pg_control_checkpoint() c, pg_control_recovery() m))
                    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END,
               current_setting('synchronous_standby_names'),
               coalesce((SELECT status FROM pg_stat_wal_receiver), ''),
               (SELECT coalesce(string_agg(application_name || ' ' || state || ' ' || sync_state || ' ' || coalesce(pg_wal_lsn_diff(flush_lsn, '0/0')::bigint, 0), E'\n'), '')
                  FROM pg_stat_replication WHERE usename = 'evenkeel_replication'),
               pg_snapshot_xmax(pg_current_snapshot())::text::bigint
          FROM (SELECT pg_is_in_recovery() AS r) AS role
        """;

    public static ServerStatus Of(object?[] row) => new((bool)row[0]!, (long)row[1]!, (int)row[2]!, (string)row[3]!, (string)row[4]! == "streaming",
        [.. ((string)row[5]!).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ')).Where(words => words.Length == 4)
            .Select(words => new Follower(new NodeName(words[0]), words[1] == "streaming", words[2] is "sync" or "quorum", long.Parse(words[3], CultureInfo.InvariantCulture)))], (long)row[6]!)
    { Attached = ((string)row[4]!).Length > 0 };
}
