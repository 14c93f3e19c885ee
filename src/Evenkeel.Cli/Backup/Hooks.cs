using System.Diagnostics;

namespace Evenkeel.Cli.Backup;

/// <summary>Commands around a backup: the first freezes an application, the second thaws it, whatever happened between.</summary>
internal sealed class Hooks(string? before, string? after)
{
    /// <summary>Cancelling ends the first command; the second one runs all the same, for an application must not stay frozen.</summary>
    public async Task<int> AroundAsync(Func<Task<int>> action, CancellationToken cancellation = default)
    {
        if (before is not null)
        {
            await FreezeAsync(before, cancellation).ConfigureAwait(false);
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

    private async Task FreezeAsync(string command, CancellationToken cancellation)
    {
        var code = 0;
        try
        {
            code = await RunAsync(command, null, cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            await ThawAsync("failed").ConfigureAwait(false);
            throw;
        }
        if (code != 0)
        {
            await ThawAsync("failed").ConfigureAwait(false);
            throw new CommandFailedException(ExitCode.Failed, $"the --before command ended with {code}; nothing was backed up");
        }
    }

    private async Task ThawAsync(string result)
    {
        if (after is not null && await RunAsync(after, result, CancellationToken.None).ConfigureAwait(false) is not 0 and var code)
        {
            throw new CommandFailedException(ExitCode.Failed, $"the --after command ended with {code}; is the application still frozen?");
        }
    }

    private static async Task<int> RunAsync(string command, string? result, CancellationToken cancellation)
    {
        // Standard output belongs to the command's own result, standard input to whoever holds the leash.
        var start = new ProcessStartInfo("/bin/sh", ["-c", $"exec 1>&2 </dev/null; {command}"]);
        start.Environment["EVENKEEL_BACKUP_RESULT"] = result;
        using var process = Process.Start(start)!;
        try
        {
            await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            throw;
        }
        return process.ExitCode;
    }
}
