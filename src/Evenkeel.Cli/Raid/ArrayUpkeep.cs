using Evenkeel.Raid.Array;

namespace Evenkeel.Cli.Raid;

/// <summary>What a served array needs beside its clients: bits settled, resync and rebuild done as they become due.</summary>
internal static class ArrayUpkeep
{
    private static readonly TimeSpan Every = TimeSpan.FromSeconds(5);

    /// <summary>Returns when stopped.</summary>
    public static async Task RunAsync(RaidArray array, TextWriter error, CancellationToken stop)
    {
        using var timer = new PeriodicTimer(Every);
        try
        {
            do
            {
                try
                {
                    await array.ResyncAsync(stop: stop).ConfigureAwait(false);
                    await array.RebuildAsync(stop: stop).ConfigureAwait(false);
                    await array.SettleAsync().ConfigureAwait(false);
                }
                catch (IOException e)
                {
                    await error.WriteLineAsync($"evenkeel: {array.Name}: {e.Message}").ConfigureAwait(false);
                }
            }
            while (await timer.WaitForNextTickAsync(stop).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // Asked to stop.
        }
    }
}
