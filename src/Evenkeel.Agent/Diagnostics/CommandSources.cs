using System.ComponentModel;
using System.Diagnostics;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>What the system's own tools say: network, packet filter, disks, processes, units. Read-only, all of them.</summary>
internal static class CommandSources
{
    private const int MostCharacters = 4 << 20;

    private static readonly (string Name, string[] Command)[] commands =
    [
        ("network/addresses", ["ip", "-details", "-statistics", "address"]),
        ("network/routes", ["ip", "route", "show", "table", "all"]),
        ("network/routes-6", ["ip", "-6", "route", "show", "table", "all"]),
        ("network/rules", ["ip", "rule"]),
        ("network/neighbours", ["ip", "-statistics", "neighbour"]),
        ("network/sockets", ["ss", "--all", "--numeric", "--tcp", "--udp", "--info"]),
        ("network/nft-ruleset", ["nft", "list", "ruleset"]),
        ("kernel/uname", ["uname", "-a"]),
        ("kernel/disk-free", ["df", "--human-readable", "--print-type"]),
        ("kernel/inodes-free", ["df", "--inodes"]),
        // Names, not arguments: those of other programs may hold anything.
        ("kernel/processes", ["ps", "-eLo", "pid,tid,ppid,user,cls,rtprio,ni,stat,rss,etime,wchan:20,comm"]),
        ("kernel/messages", ["dmesg", "--time-format", "iso"]),
        ("units/status", ["systemctl", "--no-pager", "status", "evenkeel.service", "evenkeel-guard.service"]),
        ("units/properties", ["systemctl", "--no-pager", "show", "evenkeel.service", "evenkeel-guard.service"]),
        ("units/journal", ["journalctl", "--no-pager", "--lines=10000", "--output=short-iso-precise", "--unit=evenkeel.service", "--unit=evenkeel-guard.service"]),
        ("versions/etcd", ["etcd", "--version"]),
        ("versions/nft", ["nft", "--version"]),
        ("versions/ip", ["ip", "-Version"]),
    ];

    public static IEnumerable<Source> All() => commands.Select(one => new Source(one.Name + ".txt", cancellation => RunAsync(one.Command, cancellation)));

    /// <summary>What it printed, with its errors and its exit code where that is not 0.</summary>
    /// <exception cref="InvalidOperationException">It cannot be started, or printed nothing but errors.</exception>
    private static async Task<string?> RunAsync(string[] command, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = "/" };
        start.Environment["LC_ALL"] = "C";
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception exception)
        {
            throw new InvalidOperationException($"{command[0]}: {exception.Message}", exception);
        }

        using (process)
        {
            process.StandardInput.Close();
            try
            {
                var (output, errors) = (ReadAsync(process.StandardOutput, cancellation), ReadAsync(process.StandardError, cancellation));
                await process.WaitForExitAsync(cancellation).ConfigureAwait(false);
                var (said, complained) = (await output.ConfigureAwait(false), await errors.ConfigureAwait(false));
                return process.ExitCode == 0 || said.Length > 0
                    ? said + (complained.Length > 0 ? $"\n(errors)\n{complained}" : "") + (process.ExitCode == 0 ? "" : $"\n(exit code {process.ExitCode})\n")
                    : throw new InvalidOperationException($"{string.Join(' ', command)}: {(complained.Length > 0 ? complained.Trim().ReplaceLineEndings(" ") : $"exit code {process.ExitCode}")}");
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                throw;
            }
        }
    }

    // Read to the end, so that it never waits for us, but kept only so far.
    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellation)
    {
        var text = new System.Text.StringBuilder();
        var buffer = new char[64 << 10];
        for (int read; (read = await reader.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0;)
        {
            text.Append(buffer, 0, Math.Min(read, MostCharacters - text.Length));
        }

        return text.ToString();
    }
}
