using Evenkeel.Agent.Control;

namespace Evenkeel.Agent.Local;

/// <summary>Where a cluster that runs on this one machine keeps its sockets and state.</summary>
public static class LocalPaths
{
    /// <summary>Sockets of running clusters are below it, where the commands look for them.</summary>
    public static string RunDirectory => ControlSockets.Own;

    public static string Cluster(string cluster) => Path.Combine(RunDirectory, cluster);
    public static string Node(string cluster, string node) => Path.Combine(Cluster(cluster), node);
    public static string ControlSocket(string cluster, string node) => Path.Combine(Cluster(cluster), node + ".sock");
    public static string GuardSocket(string cluster, string node) => Path.Combine(Node(cluster, node), "guard.sock");

    /// <summary>Unix socket paths hold at most 107 bytes (unix(7)); said here rather than as a bind error later.</summary>
    /// <exception cref="LocalClusterException">The path of a node's sockets would be longer.</exception>
    public static void CheckLength(string cluster, IEnumerable<string> nodes)
    {
        foreach (var path in nodes.Select(node => ControlSocket(cluster, node)))
        {
            if (System.Text.Encoding.UTF8.GetByteCount(path) > 107)
            {
                throw new LocalClusterException($"the socket path '{path}' is longer than the 107 bytes that Linux allows; give the cluster or the node a shorter name");
            }
        }
    }
}
