using Evenkeel.Backup.Engine;
using Spectre.Console;

namespace Evenkeel.Cli.Backup;

/// <summary>On a terminal: a bar, the rate and the time left, on standard error; elsewhere nothing.</summary>
internal static class ProgressLine
{
    private static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(200);

    /// <summary>Shows the progress of a task; <paramref name="totalBytes"/> null when it is not known.</summary>
    public static async Task<T> ShowAsync<T>(string what, BackupProgress progress, long? totalBytes, Func<Task<T>> action)
    {
        if (Console.IsErrorRedirected)
        {
            return await action().ConfigureAwait(false);
        }
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });
        var work = action();
        await console.Progress().HideCompleted(false)
            .Columns(new TaskDescriptionColumn(), new ProgressBarColumn(), new DownloadedColumn(), new TransferSpeedColumn(), new RemainingTimeColumn())
            .StartAsync(async context =>
            {
                var bar = context.AddTask(what, maxValue: Math.Max(1, totalBytes ?? 1));
                bar.IsIndeterminate = totalBytes is null;
                while (await Task.WhenAny(work, Task.Delay(Refresh)).ConfigureAwait(false) != work)
                {
                    bar.Value = Math.Min(progress.Bytes, bar.MaxValue);
                }
                bar.Value = bar.MaxValue;
            }).ConfigureAwait(false);
        return await work.ConfigureAwait(false);
    }
}
