using System.Diagnostics;

namespace Evenkeel.Agent.Local;

/// <summary>A system command that did not do what it should; its message is meant for people.</summary>
public sealed class LocalClusterException(string message) : Exception(message);

/// <summary>Runs a system command to its end.</summary>
public static class SystemCommand
{
    /// <returns>Its standard output.</returns>
    /// <exception cref="LocalClusterException">It is not installed, or ended with another code than 0.</exception>
    public static async Task<string> RunAsync(IReadOnlyList<string> command, CancellationToken cancellation)
    {
        using var process = new Process
        {
            StartInfo = new ProcessStartInfo(command[0], command.Skip(1))
            {
                RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
            },
        };
        try
        {
            process.Start();
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new LocalClusterException($"cannot run '{command[0]}': {exception.Message}");
        }

        var output = process.StandardOutput.ReadToEndAsync(cancellation);
        var errors = process.StandardError.ReadToEndAsync(cancellation);
        await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
        if (process.ExitCode != 0)
        {
            throw new LocalClusterException(
                $"'{string.Join(' ', command)}' ended with {process.ExitCode}: {(await errors.ConfigureAwait(false)).Trim()}");
        }

        return await output.ConfigureAwait(false);
    }
}
