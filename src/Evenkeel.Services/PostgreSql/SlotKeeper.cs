using System.Globalization;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Keeps one replication slot for each other node on every member, standbys too: whoever is promoted already holds what the
/// others still need. A standby's slots are moved on to where the upstream's are, or its log would grow for ever.
/// </summary>
internal static class SlotKeeper
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);

    /// <param name="upstream">A standby: the slots of the node that it follows; null when not known.</param>
    /// <exception cref="Npgsql.NpgsqlException">The server refuses.</exception>
    /// <exception cref="TimeoutException">No answer in time.</exception>
    public static async Task KeepAsync(LocalConnection server, IReadOnlyList<NodeName> others, ServerStatus status, NodeName? followed, IReadOnlyDictionary<string, long>? upstream, CancellationToken cancellation)
    {
        var rows = await server.AskAsync(
            "SELECT slot_name::text, active, coalesce(wal_status, ''), coalesce(pg_wal_lsn_diff(restart_lsn, '0/0')::bigint, 0) FROM pg_replication_slots WHERE slot_type = 'physical' AND slot_name LIKE 'evenkeel\\_%'",
            Limit, cancellation).ConfigureAwait(false);
        var have = rows.ToDictionary(row => (string)row[0]!, row => (Active: (bool)row[1]!, Lost: (string)row[2]! == "lost", At: (long)row[3]!), StringComparer.Ordinal);
        var wanted = others.ToDictionary(SlotName.Of, node => node, StringComparer.Ordinal);
        foreach (var (name, slot) in have.Where(slot => !slot.Value.Active && (!wanted.ContainsKey(slot.Key) || slot.Value.Lost)))
        {
            await server.AskAsync($"SELECT pg_drop_replication_slot('{name}')::text", Limit, cancellation).ConfigureAwait(false);
        }

        foreach (var (name, node) in wanted)
        {
            if (!have.TryGetValue(name, out var slot) || (slot.Lost && !slot.Active))
            {
                await server.AskAsync($"SELECT slot_name::text FROM pg_create_physical_replication_slot('{name}', true)", Limit, cancellation).ConfigureAwait(false);
            }
            else if (status.Recovering && !slot.Active && (node == followed ? status.Position : upstream?.GetValueOrDefault(name)) is { } needed && needed > slot.At)
            {
                await server.AskAsync(string.Create(CultureInfo.InvariantCulture,
                    $"SELECT end_lsn::text FROM pg_replication_slot_advance('{name}', least('{WalPosition.Text(needed)}'::pg_lsn, pg_last_wal_replay_lsn()))"), Limit, cancellation).ConfigureAwait(false);
            }
        }
    }
}
