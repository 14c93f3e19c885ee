using System.Diagnostics;

namespace Evenkeel.Cli.Backup;

/// <summary>Commands around a backup: the first freezes an application, the second thaws it, whatever happened between.</summary>
internal sealed class Hooks(string? before, string? after)
{
    public async Task<int> AroundAsync(Func<Task<int>> action)
    {
        if (before is not null && await RunAsync(before, null).ConfigureAwait(false) is not 0 and var code)
        {
            await ThawAsync("failed").ConfigureAwait(false);
            throw new CommandFailedException(ExitCode.Failed, $"the --before command ended with {code}; nothing was backed up");
        }
        var result = "failed";
        try
        {
            var exit = await action().ConfigureAwait(false);
            result = "ok";
            return exit;
        }
        finally
        {
            await ThawAsync(result).ConfigureAwait(false);
        }
    }

    private async Task ThawAsync(string result)
    {
        if (after is not null && await RunAsync(after, result).ConfigureAwait(false) is not 0 and var code)
        {
            throw new CommandFailedException(ExitCode.Failed, $"the --after command ended with {code}; is the application still frozen?");
        }
    }

    private static async Task<int> RunAsync(string command, string? result)
    {
        // Standard output belongs to the command's own result.
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"exec 1>&2; {command}"]);
        start.Environment["EVENKEEL_BACKUP_RESULT"] = result;
        using var process = Process.Start(start)!;
        await process.WaitForExitAsync().ConfigureAwait(false);
        return process.ExitCode;
    }
}
