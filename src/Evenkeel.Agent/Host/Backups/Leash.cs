using System.Diagnostics;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>
/// Keeps a program from outliving the one that started it: a line on its standard input now and then says that somebody still
/// wants it. Silence ends it as the input's end does: a starter that stands still does not know whether the work is still its own.
/// </summary>
public static class Leash
{
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(5);
    /// <summary>Shorter than what a node may be without the store before others take over its runs.</summary>
    private static readonly TimeSpan LongestSilence = TimeSpan.FromSeconds(20);

    /// <summary>Until the program ends, or <paramref name="stop"/> is cancelled; then its input is closed.</summary>
    public static async Task HoldAsync(Process program, CancellationToken stop)
    {
        var ended = program.WaitForExitAsync(stop);
        try
        {
            while (await Task.WhenAny(ended, Task.Delay(Beat, CancellationToken.None)).ConfigureAwait(false) != ended)
            {
                await program.StandardInput.WriteLineAsync(ReadOnlyMemory<char>.Empty, CancellationToken.None).ConfigureAwait(false);
                await program.StandardInput.FlushAsync(CancellationToken.None).ConfigureAwait(false);
            }

            program.StandardInput.Close();
        }
        catch (IOException)
        {
            // It ended, and its input with it.
            await ended.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Cancels <paramref name="work"/> when the input ends or is silent for too long.</summary>
    public static async Task FollowAsync(TextReader input, CancellationTokenSource work)
    {
        try
        {
            while (await input.ReadLineAsync(CancellationToken.None).AsTask().WaitAsync(LongestSilence).ConfigureAwait(false) is not null)
            {
                // That a line came is all that it says.
            }
        }
        catch (Exception exception) when (exception is TimeoutException or IOException)
        {
            // Silence is an end too.
        }

        try
        {
            await work.CancelAsync().ConfigureAwait(false);
        }
        catch (ObjectDisposedException)
        {
            // The work was over already.
        }
    }
}
