using System.ComponentModel;
using System.Diagnostics;

namespace Evenkeel.Cli.Commands.Volume;

/// <summary>A program of the system, run to its end.</summary>
internal static class Outside
{
    /// <exception cref="CommandFailedException">It is not installed, or it failed: with what it said.</exception>
    public static async Task<string> RunAsync(string program, string[] arguments, CancellationToken stop)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
            var output = process.StandardOutput.ReadToEndAsync(stop);
            var error = process.StandardError.ReadToEndAsync(stop);
            await process.WaitForExitAsync(stop).ConfigureAwait(false);
            if (process.ExitCode == 0) return (await output.ConfigureAwait(false)).Trim();
            throw new CommandFailedException(ExitCode.Failed, $"{program} failed: {(await error.ConfigureAwait(false)).Trim().ReplaceLineEndings(" ")}");
        }
        catch (Win32Exception)
        {
            throw new CommandFailedException(ExitCode.Failed, $"{program} is not installed", program == "nbdfuse" ? "It comes with libnbd (Debian: libnbd-bin)." : null);
        }
    }
}
