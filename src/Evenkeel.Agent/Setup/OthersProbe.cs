using System.Net;
using System.Net.Sockets;
using Evenkeel.Agent.Host;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Setup;

/// <summary>
/// Whether other voting nodes answer, though their operator says that they are off: two clusters of one name would go on beside each
/// other. Silence proves nothing (a cut network is silent too), so it is asked beside the operator's word, not instead of it.
/// </summary>
public static class OthersProbe
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(1);
    private static readonly int[] Ports = [PrivatePorts.EtcdClient, PrivatePorts.EtcdPeer, PrivatePorts.Peer];

    /// <exception cref="SetupRefusedException">One of them answers; says which, and where.</exception>
    public static async Task ExpectSilenceAsync(AgentConfiguration own, CancellationToken cancellation)
    {
        if (await AnswersAsync(own, Ports, cancellation).ConfigureAwait(false) is { Count: > 0 } found)
        {
            var (node, port, address) = found[0];
            throw new SetupRefusedException(
                $"{node} is not off: it answers at {new IPEndPoint(IPAddress.Parse(address), port)} ({(port == PrivatePorts.Peer ? "its agent" : "its etcd")})",
                $"Stop its agent and etcd first (there: systemctl stop evenkeel), or switch it off; nodes that answered: {string.Join(", ", found.Select(one => one.Node).Distinct())}");
        }
    }

    /// <summary>For who is about to cut the others off: a majority that lives is not lost, and would be ended by that.</summary>
    /// <exception cref="SetupRefusedException">Most voting nodes have an etcd that answers.</exception>
    public static async Task ExpectNoMajorityAsync(AgentConfiguration own, CancellationToken cancellation)
    {
        var found = await AnswersAsync(own, [PrivatePorts.EtcdClient], cancellation).ConfigureAwait(false);
        if (found.Count > own.StoreMembers.Count / 2)
        {
            throw new SetupRefusedException($"the majority is not lost: etcd answers on {string.Join(", ", found.Select(one => one.Node))}; nobody was cut off, nothing was changed",
                "Start this node's agent, it joins them (its data lost: evenkeel recover --rejoin). If they are of no use, stop them first (there: systemctl stop evenkeel)");
        }
    }

    private static async Task<IReadOnlyList<(string Node, int Port, string Address)>> AnswersAsync(AgentConfiguration own, int[] ports, CancellationToken cancellation)
    {
        var others = own.StoreMembers.Where(member => member.Key != own.Node.Value).ToList();
        var answers = await Task.WhenAll(others.SelectMany(member => ports.Select(async port =>
            (Answers: await AnswersAsync(new IPEndPoint(IPAddress.Parse(member.Value), port), cancellation).ConfigureAwait(false), Node: member.Key, Port: port, Address: member.Value)))).ConfigureAwait(false);
        return [.. answers.Where(answer => answer.Answers).Select(answer => (answer.Node, answer.Port, answer.Address))];
    }

    private static async Task<bool> AnswersAsync(IPEndPoint at, CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        try
        {
            using var socket = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(at, limit.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception exception) when (exception is SocketException || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            return false;
        }
    }
}
