using System.Globalization;
using System.Net;

namespace Evenkeel.Agent.Host;

/// <summary>Which program of this machine probably listens where we cannot: for people, decides nothing.</summary>
internal static class PortHolder
{
    private const string Listening = "0A";
    private static readonly string[] s_tables = ["/proc/net/tcp", "/proc/net/tcp6"];

    /// <summary>Such as <c>node_exporter (process 812)</c>; null when nobody is found, or we may not look.</summary>
    public static string? Find(IPAddress address, int port)
    {
        var sockets = s_tables.SelectMany(Lines).Select(line => Inode(line, address, port)).OfType<string>()
            .Select(inode => $"socket:[{inode}]").ToHashSet(StringComparer.Ordinal);
        if (sockets.Count == 0)
        {
            return null;
        }

        foreach (var process in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(process), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && Holds(process, sockets))
            {
                return $"{Lines(Path.Combine(process, "comm")).FirstOrDefault("a program")} (process {number})";
            }
        }

        return null;
    }

    /// <summary>The socket of this line of /proc/net/tcp (proc_pid_net(5)) when it listens at the port, at this address or at all.</summary>
    internal static string? Inode(string line, IPAddress address, int port)
    {
        var words = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        if (words.Length < 10 || words[3] != Listening || words[1].Split(':') is not [var host, var at] || !int.TryParse(at, NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var listens)
            || listens != port || host.Length is not (8 or 32))
        {
            return null;
        }

        // Words of four bytes in the machine's order.
        var bytes = new byte[host.Length / 2];
        for (var word = 0; word < host.Length; word += 8)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(word / 2), uint.Parse(host.AsSpan(word, 8), NumberStyles.HexNumber, CultureInfo.InvariantCulture));
        }

        var bound = new IPAddress(bytes);
        // [::] takes IPv4 too, as a rule.
        return bound.Equals(IPAddress.Any) || bound.Equals(IPAddress.IPv6Any) || (bound.IsIPv4MappedToIPv6 ? bound.MapToIPv4() : bound).Equals(address) ? words[9] : null;
    }

    private static bool Holds(string process, HashSet<string> sockets)
    {
        try
        {
            return Directory.EnumerateFiles(Path.Combine(process, "fd")).Any(file => File.ResolveLinkTarget(file, returnFinalTarget: false) is { Name: var name } && sockets.Contains(name));
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static string[] Lines(string file)
    {
        try
        {
            return File.ReadAllLines(file);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return [];
        }
    }
}
