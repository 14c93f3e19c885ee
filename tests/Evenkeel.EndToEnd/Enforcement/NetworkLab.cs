using System.Diagnostics;
using System.Globalization;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.EndToEnd.Enforcement;

/// <summary>
/// Named network namespaces joined by a bridge in a namespace of its own: <c>a</c>, <c>b</c> (nodes) and <c>c</c> (client), each
/// with <c>eth0</c>, 10.91.0.1 to 3/24 and fd91::1 to 3/64. Removed with all that is in them.
/// </summary>
internal sealed class NetworkLab : IDisposable
{
    private static int counter;
    private readonly string prefix = string.Create(CultureInfo.InvariantCulture, $"evk{Environment.ProcessId}x{Interlocked.Increment(ref counter)}");
    private readonly List<string> made = [];

    public NetworkLab()
    {
        Make("sw");
        In("sw", "ip link add br0 type bridge forward_delay 0 mcast_snooping 0");
        In("sw", "ip link set br0 up");
        foreach (var (node, number) in (ReadOnlySpan<(string, int)>)[("a", 1), ("b", 2), ("c", 3)])
        {
            Make(node);
            In("sw", $"ip link add name port-{node} type veth peer name eth0 netns {Name(node)}");
            In("sw", $"ip link set port-{node} master br0 up");
            In(node, "ip link set lo up");
            In(node, "sysctl -qw net.ipv6.conf.eth0.accept_dad=0 net.ipv6.conf.eth0.accept_ra=0");
            In(node, $"ip addr add 10.91.0.{number}/24 dev eth0");
            In(node, $"ip addr add fd91::{number}/64 dev eth0 nodad");
            In(node, "ip link set eth0 up");
        }
    }

    public string Name(string node) => prefix + node;

    /// <summary>Runs a command in a node's namespace and returns its output; a failure fails the test.</summary>
    public string In(string node, string command) => Shell($"ip netns exec {Name(node)} {command}");

    /// <summary>Runs code on a thread inside the node's namespace: sockets that it opens belong there for good.</summary>
    public T On<T>(string node, Func<T> code) => NetworkSpace.In(Name(node), code);

    /// <summary>The node's hardware address, as the neighbour tables print it.</summary>
    public string HardwareAddress(string node) => In(node, "cat /sys/class/net/eth0/address").Trim();

    /// <summary>What a node believes about an address: the hardware address in its neighbour table, empty when none.</summary>
    public string Neighbour(string node, string address)
    {
        var words = In(node, $"ip neigh show {address}").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        var at = Array.IndexOf(words, "lladdr");
        return at < 0 ? "" : words[at + 1];
    }

    public static string Shell(string command)
    {
        var words = command.Split(' ');
        using var process = Process.Start(new ProcessStartInfo(words[0], words[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{command}: {error.Result}");
    }

    private void Make(string node)
    {
        Shell($"ip netns add {Name(node)}");
        made.Add(Name(node));
    }

    public void Dispose()
    {
        foreach (var name in made) Shell($"ip netns del {name}");
    }
}
