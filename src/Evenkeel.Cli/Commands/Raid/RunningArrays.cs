using Evenkeel.Raid.Hosting;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>
/// Arrays that run on this machine: one control socket each, in <c>/run/evenkeel/raid</c> for root, <c>$XDG_RUNTIME_DIR/evenkeel/raid</c>
/// for others, <c>$EVENKEEL_RAID_RUN</c> for whoever sets it.
/// </summary>
internal static class RunningArrays
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    public static string Directory { get; } = Environment.GetEnvironmentVariable("EVENKEEL_RAID_RUN") is { Length: > 0 } given ? given
        : Environment.IsPrivilegedProcess ? "/run/evenkeel/raid"
        : Path.Combine(Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") ?? Path.GetTempPath(), "evenkeel", "raid");

    /// <summary>What outlives a restart: <c>/var/lib/evenkeel/raid</c> for root, <c>$XDG_STATE_HOME/evenkeel/raid</c> for others.</summary>
    public static string StateDirectory { get; } = Environment.GetEnvironmentVariable("EVENKEEL_RAID_RUN") is { Length: > 0 } given ? Path.Combine(given, "state")
        : Environment.IsPrivilegedProcess ? "/var/lib/evenkeel/raid"
        : Path.Combine(
            Environment.GetEnvironmentVariable("XDG_STATE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "state"), "evenkeel", "raid");

    /// <summary>mdadm's names are <c>host:name</c>; a slash cannot be in a file's name.</summary>
    public static string SocketOf(string name) => Path.Combine(Directory, name.Replace('/', '_') + ".sock");

    /// <summary>The names that a socket is there for; their hosts may be dead.</summary>
    public static IReadOnlyList<string> Names() => System.IO.Directory.Exists(Directory)
        ? [.. System.IO.Directory.GetFiles(Directory, "*.sock").Select(path => Path.GetFileNameWithoutExtension(path)).Order(StringComparer.Ordinal)]
        : [];

    /// <summary>Connects to an array's host; null if none answers.</summary>
    public static async Task<HostLink?> FindAsync(string name, CancellationToken stop)
    {
        using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
        limited.CancelAfter(Patience);
        return File.Exists(SocketOf(name)) ? await HostLink.TryConnectAsync(SocketOf(name), limited.Token).ConfigureAwait(false) : null;
    }

    /// <summary>Sends one order; a refusal ends the command.</summary>
    public static async Task<ArrayReport> OrderAsync(string name, HostOrder order, CancellationToken stop)
    {
        using var link = await FindAsync(name, stop).ConfigureAwait(false)
            ?? throw new CommandFailedException(ExitCode.Failed, $"no array '{name}' runs here", "'evenkeel raid status' lists those that do; 'evenkeel raid assemble MEMBER...' starts one.");
        return Check(await link.OrderAsync(order, stop).ConfigureAwait(false));
    }

    /// <summary>Asks the arrays of a group for a spare; null if none has one to give.</summary>
    public static async Task<string?> BorrowAsync(string own, string group, long bytes, CancellationToken stop)
    {
        foreach (var name in Names())
        {
            if (name == Path.GetFileNameWithoutExtension(SocketOf(own))) continue;
            try
            {
                using var link = await FindAsync(name, stop).ConfigureAwait(false);
                if (link is null) continue;
                using var limited = CancellationTokenSource.CreateLinkedTokenSource(stop);
                limited.CancelAfter(Patience);
                var answer = await link.OrderAsync(new HostOrder("lend", Group: group, Bytes: bytes), limited.Token).ConfigureAwait(false);
                if (answer.Device is not null) return answer.Device;
            }
            catch (Exception e) when (e is IOException || e is OperationCanceledException && !stop.IsCancellationRequested)
            {
                // That one is ending, or hangs: the next.
            }
        }

        return null;
    }

    public static ArrayReport Check(HostAnswer answer) =>
        answer.Error is null ? answer.Report! : throw new CommandFailedException(answer.Refused ? ExitCode.Refused : ExitCode.Failed, answer.Error);
}
