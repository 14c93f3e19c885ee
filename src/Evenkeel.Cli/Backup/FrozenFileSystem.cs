using System.Diagnostics;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Backups;

namespace Evenkeel.Cli.Backup;

/// <summary>
/// Runs this program again where a path shows what a snapshot of its file system holds: files that no longer change, under
/// their own names and inode numbers, so that what is unchanged is told as ever. The application is frozen for the moment
/// of the snapshot alone.
/// </summary>
/// <remarks>The snapshot is bound over the path in a mount namespace of the inner program's own: nobody else sees it, and it goes with that program.</remarks>
internal static class FrozenFileSystem
{
    // $1 what to mount, $2 over which path, then the program.
    private const string Inside = "set -e; from=$1; over=$2; shift 2; mount --bind \"$from\" \"$over\"; exec \"$@\"";

    /// <summary>Standard output of the inner program; fails with a <see cref="CommandFailedException"/>.</summary>
    /// <param name="kind"><c>btrfs</c> or <c>lvm</c>.</param>
    /// <param name="input">For its standard input, which stays open.</param>
    public static async Task<string> RunAsync(string kind, string path, Hooks hooks, IReadOnlyList<string> arguments, string? input, CancellationToken cancellation)
    {
        var real = Path.GetFullPath(path);
        SourceSnapshot? snapshot = null;
        await hooks.AroundAsync(async () =>
        {
            snapshot = kind == "btrfs" ? await SourceSnapshot.OfBtrfsAsync(real, cancellation).ConfigureAwait(false) : await SourceSnapshot.OfLogicalVolumeAsync(real, cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        }, cancellation).ConfigureAwait(false);
        await using var _ = snapshot!.ConfigureAwait(false);
        return await ProgramAsync([.. "unshare --mount --propagation private /bin/sh -c".Split(' '), Inside, "sh", snapshot!.View, real, .. OwnProgram.Command, .. arguments], input, cancellation).ConfigureAwait(false);
    }

    private static async Task<string> ProgramAsync(IReadOnlyList<string> command, string? input, CancellationToken cancellation)
    {
        using var process = Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        if (input is not null)
        {
            await process.StandardInput.WriteLineAsync(input).ConfigureAwait(false);
            await process.StandardInput.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        }
        await Leash.HoldAsync(process, cancellation).ConfigureAwait(false);
        if (cancellation.IsCancellationRequested && !process.HasExited)
        {
            process.Kill();
        }
        await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
        cancellation.ThrowIfCancellationRequested();
        var said = await output.ConfigureAwait(false);
        // An answer that says what failed is an answer.
        return process.ExitCode == 0 || said.TrimEnd().EndsWith('}') ? said : throw new CommandFailedException(process.ExitCode is > 0 and < 5 ? process.ExitCode : ExitCode.Failed, $"the backup of the snapshot of {command[^1]} failed; see above");
    }
}
