using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Host;

/// <summary>
/// This node's member of the managed etcd: started with the cluster's certificates on the private address, started again when
/// it ends, adopted by an agent that was restarted. Does nothing on nodes that are no members.
/// </summary>
internal sealed class ManagedEtcd(EtcdMember? member, Action<string> log) : IDisposable
{
    private static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan RestartDelay = TimeSpan.FromSeconds(1);
    private EtcdProcess? _process;

    public static ManagedEtcd For(AgentConfiguration configuration, Action<string> log)
    {
        if (!configuration.StoreMembers.TryGetValue(configuration.Node.Value, out var own))
        {
            return new ManagedEtcd(null, log);
        }

        return new ManagedEtcd(
            new EtcdMember
            {
                Node = configuration.Node,
                StateDirectory = configuration.StateDirectory,
                Clients = new PrivateEndpoint(IPAddress.Parse(own), PrivatePorts.EtcdClient),
                Peers = configuration.StoreMembers.ToDictionary(
                    pair => new NodeName(pair.Key), pair => new PrivateEndpoint(IPAddress.Parse(pair.Value), PrivatePorts.EtcdPeer)),
                Certificates = Path.Combine(configuration.StateDirectory, "tls"),
                Token = configuration.Cluster,
            },
            log);
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        while (member is not null && !cancellation.IsCancellationRequested)
        {
            try
            {
                if (_process is null)
                {
                    _process = EtcdProcess.Start(member);
                    log($"etcd runs as process {_process.Id}{(_process.Adopted ? " (from before)" : "")}");
                }

                if (_process.HasExited)
                {
                    log($"etcd ended: {_process.LastWords()}");
                    _process.Dispose();
                    _process = null;
                    await Task.Delay(RestartDelay, cancellation).ConfigureAwait(false);
                    continue;
                }
            }
            catch (EtcdStartException exception)
            {
                log(exception.Message);
                await Task.Delay(RestartDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await Task.Delay(Watch, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Gives the member the agent's own priority: a starved store is a lost one.</summary>
    public void Raise()
    {
        if (_process is { HasExited: false } process)
        {
            Priority.Raise(process.Id, log);
        }
    }

    public async Task StopAsync(TimeSpan patience)
    {
        if (_process is { HasExited: false } process)
        {
            await process.StopAsync(patience).ConfigureAwait(false);
        }
    }

    public void Dispose() => _process?.Dispose();
}
