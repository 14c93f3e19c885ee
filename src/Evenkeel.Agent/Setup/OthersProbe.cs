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
        var others = own.StoreMembers.Where(member => member.Key != own.Node.Value).ToList();
        var answers = await Task.WhenAll(others.SelectMany(member => Ports.Select(async port =>
            await AnswersAsync(new IPEndPoint(IPAddress.Parse(member.Value), port), cancellation).ConfigureAwait(false) ? (member.Key, Port: port, Address: member.Value) : default))).ConfigureAwait(false);
        if (answers.Where(answer => answer.Key is not null).ToList() is { Count: > 0 } found)
        {
            var (node, port, address) = found[0];
            throw new SetupRefusedException(
                $"{node} is not off: it answers at {new IPEndPoint(IPAddress.Parse(address), port)} ({(port == PrivatePorts.Peer ? "its agent" : "its etcd")})",
                $"Stop its agent and etcd first (there: systemctl stop evenkeel), or switch it off; nodes that answered: {string.Join(", ", found.Select(one => one.Key).Distinct())}");
        }
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
