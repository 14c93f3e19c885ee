using System.Diagnostics;
using System.Text.RegularExpressions;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>The programs that come with etcd, on this machine.</summary>
public static partial class EtcdPrograms
{
    /// <summary>The first version with learners.</summary>
    public static readonly Version Oldest = new(3, 4);

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    /// <summary>A path as it is, or a name as PATH has it; null when there is no such file.</summary>
    public static string? Find(string program) => program.Contains('/', StringComparison.Ordinal)
        ? (File.Exists(program) ? program : null)
        : (Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':')
            .Select(directory => Path.Combine(directory, program)).FirstOrDefault(File.Exists);

    /// <summary>What <c>etcd --version</c> says, out of its first line.</summary>
    public static Version? ParseVersion(string output) =>
        VersionLine().Match(output) is { Success: true } match && Version.TryParse(match.Groups[1].Value, out var version) ? version : null;

    /// <exception cref="EtcdStartException">It cannot be started, or is older than <see cref="Oldest"/>.</exception>
    public static Version CheckVersion(string path)
    {
        var (_, output) = RunAsync(path, ["--version"], CancellationToken.None).GetAwaiter().GetResult();
        return ParseVersion(output) switch
        {
            null => throw new EtcdStartException($"{path} does not say which version of etcd it is: {output.Trim()}"),
            var version when version < Oldest => throw new EtcdStartException($"{path} is etcd {version}; {Oldest} or later is needed (Debian, Ubuntu: 'apt install etcd-server'; or https://etcd.io)"),
            var version => version,
        };
    }

    /// <summary>Makes a data directory of a new cluster, with this member alone, out of a snapshot.</summary>
    /// <param name="token">Other than any before: members of the cluster that was must not take this one for theirs.</param>
    /// <returns>The program that did it.</returns>
    /// <exception cref="EtcdStartException">No program for it is installed, or it refused; says how to mend it.</exception>
    public static async Task<string> RestoreAsync(EtcdMember member, string snapshot, string token, CancellationToken cancellation)
    {
        var scheme = member.Certificates is null ? "http" : "https";
        var url = $"{scheme}://{member.Peers[member.Node]}";
        List<string> arguments =
        [
            "snapshot", "restore", snapshot, "--data-dir", member.DataDirectory, "--name", member.Node.Value,
            "--initial-cluster", $"{member.Node}={url}", "--initial-advertise-peer-urls", url, "--initial-cluster-token", token,
        ];
        // etcdctl restores up to 3.5, etcdutl from 3.5 on.
        var program = Find("etcdutl") ?? Find("etcdctl") ?? throw new EtcdStartException(
            "neither etcdutl nor etcdctl was found, and one of them has to restore the snapshot. Install it (Debian, Ubuntu: 'apt install etcd-client'; or https://etcd.io)");
        if ((await RunAsync(program, ["snapshot", "restore", "--help"], cancellation).ConfigureAwait(false)).Output.Contains("--bump-revision", StringComparison.Ordinal))
        {
            // No revision is given out twice: a watch or a compare of before finds nothing that looks like its own.
            arguments.AddRange(["--bump-revision", "1000000000", "--mark-compacted"]);
        }

        var (code, output) = await RunAsync(program, arguments, cancellation).ConfigureAwait(false);
        return code == 0 ? program : throw new EtcdStartException($"{program} did not restore {snapshot}: {output.Trim()}");
    }

    private static async Task<(int Code, string Output)> RunAsync(string program, IReadOnlyList<string> arguments, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        foreach (var name in start.Environment.Keys.Where(key => key.StartsWith("ETCD", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(name);
        }

        start.Environment["ETCDCTL_API"] = "3";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var process = Process.Start(start) ?? throw new EtcdStartException($"{program} could not be started");
            var output = process.StandardOutput.ReadToEndAsync(limit.Token);
            var errors = process.StandardError.ReadToEndAsync(limit.Token);
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
            return (process.ExitCode, await output.ConfigureAwait(false) + await errors.ConfigureAwait(false));
        }
        catch (System.ComponentModel.Win32Exception exception)
        {
            throw new EtcdStartException($"{program} could not be started: {exception.Message}");
        }
    }

    [GeneratedRegex(@"etcd Version:\s*v?([0-9]+\.[0-9]+(?:\.[0-9]+)?)")]
    private static partial Regex VersionLine();
}
