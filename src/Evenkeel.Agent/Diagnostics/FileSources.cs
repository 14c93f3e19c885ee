using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;

namespace Evenkeel.Agent.Diagnostics;

/// <summary>What is read of a node's state directory and of the kernel's files: named ones alone, and of long ones the end.</summary>
internal static class FileSources
{
    private const int LongestTail = 1 << 20;
    private const int MostLogs = 100;

    // Neither of these is ever opened: keys, tokens, other nodes' bundles, the store's data (with the guards' keys).
    private static readonly string[] state =
        ["agent.json", "events.jsonl", "events.jsonl.1", "audit.jsonl", "guard.log", "etcd.log", "etcd.log.1", "agent.log", "ocf/attributes.json"];

    private static readonly string[] certificates = ["tls", "ca"];

    private static readonly (string Name, string File)[] kernel =
    [
        ("os-release", "/etc/os-release"), ("kernel-command-line", "/proc/cmdline"), ("kernel-version", "/proc/version"), ("uptime", "/proc/uptime"),
        ("load", "/proc/loadavg"), ("memory", "/proc/meminfo"), ("pressure-cpu", "/proc/pressure/cpu"), ("pressure-io", "/proc/pressure/io"),
        ("pressure-memory", "/proc/pressure/memory"), ("mounts", "/proc/self/mountinfo"), ("network-counters", "/proc/net/snmp"), ("network-counters-more", "/proc/net/netstat"),
    ];

    public static IEnumerable<Source> Of(string stateDirectory)
    {
        foreach (var name in state)
        {
            yield return new Source("state/" + name, _ => Task.FromResult(Tail(Path.Combine(stateDirectory, name))));
        }

        yield return new Source("state/cluster.yaml", _ => Task.FromResult(Tail(Path.Combine(stateDirectory, "cluster.yaml"))), IsClusterFile: true);
        yield return new Source("state/files.txt", _ => Task.FromResult<string?>(List(stateDirectory)));
        yield return new Source("state/certificates.txt", _ => Task.FromResult<string?>(Certificates(stateDirectory)));
        var logs = Path.Combine(stateDirectory, "logs");
        foreach (var log in Directory.Exists(logs) ? Directory.EnumerateFiles(logs).Order(StringComparer.Ordinal).Take(MostLogs) : [])
        {
            yield return new Source("logs/" + Path.GetFileName(log), _ => Task.FromResult(Tail(log)));
        }

        foreach (var (name, file) in kernel)
        {
            yield return new Source("kernel/" + name, _ => Task.FromResult(Tail(file)));
        }
    }

    /// <returns>The file's end, from a line's beginning on; null when there is no such file.</returns>
    private static string? Tail(string path)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (!stream.CanSeek || stream.Length <= LongestTail)
        {
            using var whole = new StreamReader(stream);
            return whole.ReadToEnd();
        }

        stream.Position = stream.Length - LongestTail;
        using var reader = new StreamReader(stream, Encoding.UTF8);
        _ = reader.ReadLine();
        return $"(the last {LongestTail >> 10} KiB of {stream.Length >> 10})\n" + reader.ReadToEnd();
    }

    private static string List(string directory)
    {
        var text = new StringBuilder();
        foreach (var entry in new DirectoryInfo(directory).EnumerateFileSystemInfos("*", new EnumerationOptions { RecurseSubdirectories = true, MaxRecursionDepth = 4, IgnoreInaccessible = true, AttributesToSkip = 0 })
            .OrderBy(entry => entry.FullName, StringComparer.Ordinal))
        {
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"{Convert.ToString((int)entry.UnixFileMode, 8),4} {(entry as FileInfo)?.Length ?? 0,12} {entry.LastWriteTimeUtc:yyyy-MM-ddTHH:mm:ssZ} {Path.GetRelativePath(directory, entry.FullName)}"));
        }

        return text.ToString();
    }

    /// <summary>Who signed whom, and until when: most certificates' troubles are dates.</summary>
    private static string Certificates(string stateDirectory)
    {
        var text = new StringBuilder();
        foreach (var file in certificates.Select(name => Path.Combine(stateDirectory, name)).Where(Directory.Exists)
            .SelectMany(directory => Directory.EnumerateFiles(directory, "*.crt")).Order(StringComparer.Ordinal))
        {
            try
            {
                using var certificate = X509CertificateLoader.LoadCertificateFromFile(file);
                text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                    $"{file}: {certificate.Subject}, by {certificate.Issuer}, {certificate.NotBefore:u} to {certificate.NotAfter:u}, SHA-256 {Convert.ToHexStringLower(certificate.GetCertHash(HashAlgorithmName.SHA256))}"));
            }
            catch (CryptographicException exception)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"{file}: {exception.Message}");
            }
        }

        return text.ToString();
    }
}
