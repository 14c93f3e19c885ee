using System.Diagnostics;
using System.Net.Sockets;
using System.Text;

namespace Evenkeel.EndToEnd.Guard;

/// <summary>Three nodes on loopback addresses, with one front door that at most one of them may hold.</summary>
internal sealed class GuardTrio : IDisposable
{
    private readonly DirectoryInfo _directory = Directory.CreateTempSubdirectory("ek-guard-");
    private readonly string _frontAddress;

    /// <param name="network">The third byte of the loopback addresses, so that tests do not meet: 127.77.NETWORK.1 to .3.</param>
    public GuardTrio(int network)
    {
        _frontAddress = $"127.77.{network}.100";
        Nodes = [.. Enumerable.Range(1, 3).Select(i => new GuardedNode(_directory.FullName, i, 3, $"127.77.{network}.", 7400, $"{_frontAddress}:8080"))];
        foreach (var node in Nodes) node.AwaitHello();
    }

    public IReadOnlyList<GuardedNode> Nodes { get; }
    public GuardedNode this[int number] => Nodes[number - 1];

    public void AcquireOn(int node, int epoch)
    {
        this[node].Tell($"acquire {epoch}");
        this[node].Await($"held vip/front 1.{epoch}");
    }

    /// <summary>Time from now until the node holds the front door under this epoch.</summary>
    public TimeSpan TimeTakeover(int node, int epoch)
    {
        var watch = Stopwatch.StartNew();
        AcquireOn(node, epoch);
        return watch.Elapsed;
    }

    /// <summary>Who answers at the front door; null when nobody does.</summary>
    public string? AskFrontDoor()
    {
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 1000 };
        try
        {
            client.Connect(_frontAddress, 8080);
            var buffer = new byte[16];
            return Encoding.ASCII.GetString(buffer, 0, client.Receive(buffer));
        }
        catch (SocketException) { return null; }
    }

    /// <summary>No agent ever found the front door taken when its lease began.</summary>
    public IEnumerable<string> Conflicts() => Nodes.SelectMany(node => node.Drain().Where(line => line.StartsWith("conflict", StringComparison.Ordinal)));

    /// <summary>What all guards wrote and all agents said: for a failed test's reader.</summary>
    public string Logs() =>
        string.Join('\n', Nodes.SelectMany(node => node.Drain().Select(line => $"n{node.Number}: {line}"))) + '\n' + string.Join('\n', _directory.GetFiles("*.log").SelectMany(file => File.ReadAllLines(file.FullName).Select(line => $"{file.Name}: {line}")));

    public void Dispose()
    {
        Xunit.TestContext.Current.TestOutputHelper?.WriteLine(Logs());
        foreach (var node in Nodes) node.Dispose();
        _directory.Delete(recursive: true);
    }
}
