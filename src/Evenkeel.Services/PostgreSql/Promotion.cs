using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;

namespace Evenkeel.Services.PostgreSql;

/// <summary>A standby becomes the primary of an epoch: the epoch is on disk first, and whom commits wait for is set before there can be one.</summary>
internal sealed class Promotion(Place place, LocalConnection server, ServerWatch watch)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(5);
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(5);

    public async Task<ActionResult> PromoteAsync(Epoch epoch, ReplicationOrder replication, CancellationToken cancellation)
    {
        if (place.Data.Epoch > epoch)
        {
            return ActionResult.Failure($"this data has seen epoch {place.Data.Epoch}, {epoch} is older");
        }

        var recovering = (bool)(await server.AskAsync("SELECT pg_is_in_recovery()", Limit, cancellation).ConfigureAwait(false))[0][0]!;
        place.Data.Persist(epoch);
        var names = SynchronousNames.Text(replication.Required, replication.Any, replication.Strict);
        place.Data.Write(ServerConfiguration.ReplicationFile, ServerConfiguration.Replication(names, null, null));
        await server.AskAsync("SELECT pg_reload_conf()", Limit, cancellation).ConfigureAwait(false);
        // Our session reloads as late as the others do. What slips through until the last has is no loss: nobody is called
        // synchronous before a barrier that lies a second later.
        while ((string)(await server.AskAsync("SELECT current_setting('synchronous_standby_names')", Limit, cancellation).ConfigureAwait(false))[0][0]! != names)
        {
            await Task.Delay(Step, cancellation).ConfigureAwait(false);
        }

        if (recovering)
        {
            await server.AskAsync("SELECT pg_promote(false)", Limit, cancellation).ConfigureAwait(false);
            while ((bool)(await server.AskAsync("SELECT pg_is_in_recovery()", Limit, cancellation).ConfigureAwait(false))[0][0]!)
            {
                await Task.Delay(Step, cancellation).ConfigureAwait(false);
            }
        }

        await watch.ObserveAsync(cancellation).ConfigureAwait(false);
        return ActionResult.Success;
    }
}
