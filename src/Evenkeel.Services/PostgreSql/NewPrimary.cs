using Npgsql;

namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// What a new primary must do soon, on a connection of its own: the role for the others, and a checkpoint, before which
/// pg_rewind of the others reads the old timeline here (before 16).
/// </summary>
internal static class NewPrimary
{
    private static readonly TimeSpan CheckpointLimit = TimeSpan.FromMinutes(10);

    public static async Task SettleAsync(Place place, CancellationToken cancellation)
    {
        await using var server = new LocalConnection(place.Data.Run, place.Port);
        try
        {
            await ReplicationRole.EnsureAsync(server, cancellation).ConfigureAwait(false);
            await server.AskAsync("CHECKPOINT", CheckpointLimit, cancellation).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException or OperationCanceledException)
        {
            // It has ended already, or is ill: both show in its facts.
        }
    }
}
