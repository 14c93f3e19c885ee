using System.Net;
using System.Net.NetworkInformation;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;

namespace Evenkeel.Agent.Setup;

/// <summary>A server cannot be set up as asked; nothing was written.</summary>
/// <param name="message">What is wrong.</param>
/// <param name="mend">What to do.</param>
public sealed class SetupRefusedException(string message, string mend) : Exception(message)
{
    public string Mend { get; } = mend;
}

/// <summary>
/// Makes servers nodes of a new cluster with a managed etcd. On the first server: the cluster's certificate authority, the node's own
/// state directory, and a bundle for each other node. On the others: the state directory out of the bundle.
/// </summary>
public static class NodeSetup
{
    public const string DefaultStateDirectory = "/var/lib/evenkeel";
    public const string ConfigurationFile = "agent.json";
    internal const string ClusterFileName = "cluster.yaml";
    public const string CertificatesDirectory = "tls";
    internal const string AuthorityDirectory = "ca";
    private const string BundleDirectory = "bundles";
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    /// <summary>Sets up the first node of a new cluster.</summary>
    /// <param name="workingDirectory">Where relative paths of the cluster's file begin, on every node.</param>
    /// <param name="publicInterface">Null: the interface that has the node's public address now.</param>
    /// <param name="withBundles">Makes the other nodes' keys here, for servers that cannot reach this one to enrol.</param>
    /// <returns>The bundles for the other nodes, by node.</returns>
    /// <exception cref="SetupRefusedException">This server is not that node, or was set up before.</exception>
    /// <exception cref="IOException">The state directory cannot be written.</exception>
    public static IReadOnlyDictionary<NodeName, string> CreateFirst(
        ClusterSpec spec, string source, NodeName node, string stateDirectory, string workingDirectory, string? publicInterface, bool withBundles)
    {
        if (!spec.Nodes.ContainsKey(node))
        {
            throw new SetupRefusedException($"the file has no node '{node}'", $"It has: {string.Join(", ", spec.Nodes.Keys.Order())}");
        }

        var own = Settle(Describe(spec, node, workingDirectory) with { StoreFounders = spec.Coordination.Kind == CoordinationKind.External ? null : Founders(spec, node, withBundles) },
            stateDirectory, spec.Nodes[node].Public, publicInterface);
        using var authority = CertificateAuthority.Create(spec.Cluster);
        CreatePrivate(stateDirectory);
        authority.Save(CreatePrivate(Path.Combine(stateDirectory, AuthorityDirectory)));
        authority.IssueNode(node, spec.Nodes[node].Private, CreatePrivate(Path.Combine(stateDirectory, CertificatesDirectory)));
        var bundles = new SortedDictionary<NodeName, string>();
        foreach (var other in spec.Nodes.Values.Where(other => withBundles && other.Name != node))
        {
            var scratch = CreatePrivate(Path.Combine(stateDirectory, BundleDirectory, other.Name.Value));
            authority.IssueNode(other.Name, other.Private, scratch);
            new IssuedBook(stateDirectory).Add(other.Name, File.ReadAllText(Path.Combine(scratch, NodeCertificate.CertificateFile)));
            var bundle = scratch + ".bundle";
            NodeBundle.Write(bundle, Describe(spec, other.Name, workingDirectory), source, scratch);
            Directory.Delete(scratch, recursive: true);
            bundles[other.Name] = bundle;
        }

        File.WriteAllText(Path.Combine(stateDirectory, ClusterFileName), source);
        // Last: a directory with this file is a complete one.
        own.Save(Path.Combine(stateDirectory, ConfigurationFile));
        return bundles;
    }

    /// <summary>Sets up another node with the bundle that the first one wrote for it.</summary>
    /// <returns>The node.</returns>
    /// <exception cref="SetupRefusedException">The file is no such bundle, this server is not its node, or was set up before.</exception>
    /// <exception cref="IOException">The bundle cannot be read or the state directory not written.</exception>
    public static AgentConfiguration CreateFromBundle(string bundle, string stateDirectory, string? publicInterface)
    {
        var contents = NodeBundle.Read(bundle);
        var described = contents.Configuration;
        var spec = ClusterFile.Parse(contents.Source, ClusterFileName).Spec
            ?? throw new SetupRefusedException($"{bundle} holds a cluster file with errors", "Make it again with this version of evenkeel: evenkeel init");
        var own = Settle(described, stateDirectory, spec.Nodes[described.Node].Public, publicInterface);
        CreatePrivate(stateDirectory);
        contents.WriteCertificates(CreatePrivate(Path.Combine(stateDirectory, CertificatesDirectory)));
        File.WriteAllText(Path.Combine(stateDirectory, ClusterFileName), contents.Source);
        own.Save(Path.Combine(stateDirectory, ConfigurationFile));
        return own;
    }

    /// <summary>Sets up a node that enrolled.</summary>
    /// <param name="saveCertificates">Writes them into the directory given.</param>
    internal static AgentConfiguration CreateEnrolled(EnrolmentAnswer answer, Action<string> saveCertificates, string stateDirectory, string? publicInterface)
    {
        var own = Settle(answer.Configuration, stateDirectory, answer.Public is { } address ? IPAddress.Parse(address) : null, publicInterface);
        CreatePrivate(stateDirectory);
        saveCertificates(CreatePrivate(Path.Combine(stateDirectory, CertificatesDirectory)));
        File.WriteAllText(Path.Combine(stateDirectory, ClusterFileName), answer.Source);
        own.Save(Path.Combine(stateDirectory, ConfigurationFile));
        return own;
    }

    /// <summary>Another node of the cluster that <paramref name="own"/> is a node of.</summary>
    internal static AgentConfiguration Describe(AgentConfiguration own, ClusterSpec spec, NodeSpec node)
    {
        LocalPaths.CheckLength(own.Cluster, [node.Name.Value]);
        var members = own.Store == StoreKind.Etcd ? Voters(spec) : own.StoreMembers;
        return own with
        {
            Node = node.Name,
            StateDirectory = "",
            ControlSocket = LocalPaths.ControlSocket(own.Cluster, node.Name.Value),
            GuardSocket = "",
            Private = [.. node.Private.Select(address => address.ToString())],
            StoreMembers = members,
            StoreFounders = [],
            StoreRejoins = false,
            StoreEndpoints = own.Store == StoreKind.External ? own.StoreEndpoints : EndpointsFor(node.Name, members),
            FirstFile = null,
            PublicInterface = null,
            Metrics = null,
            Roles = null,
        };
    }

    // With bundles all come up together, in any order. By token the others come one by one, to a store that runs.
    private static IReadOnlyList<string>? Founders(ClusterSpec spec, NodeName first, bool withBundles) =>
        withBundles ? null : [spec.Nodes[first].Votes ? first.Value
            : throw new SetupRefusedException($"{first} does not vote: the first node holds the coordination store", "Begin with a voting node, or make the nodes with --bundles")];

    // A node asks its own member first.
    internal static IReadOnlyList<string> EndpointsFor(NodeName node, IReadOnlyDictionary<string, string> members) =>
        [.. members.OrderBy(member => member.Key != node.Value).Select(member => $"{member.Value}:{PrivatePorts.EtcdClient}")];

    internal static IReadOnlyDictionary<string, string> Voters(ClusterSpec spec) =>
        spec.Nodes.Values.Where(one => one.Votes).ToDictionary(one => one.Name.Value, one => one.Private[0].ToString());

    /// <exception cref="SetupRefusedException">It is a node's state directory already.</exception>
    internal static void CheckEmpty(string stateDirectory)
    {
        if (File.Exists(Path.Combine(stateDirectory, ConfigurationFile)))
        {
            throw new SetupRefusedException($"{stateDirectory} is a node's state directory already",
                "Start it with 'evenkeel agent', or name another directory with --state; a cluster is only made anew in an empty one");
        }
    }

    /// <summary>What is the same on whichever server the node will be.</summary>
    private static AgentConfiguration Describe(ClusterSpec spec, NodeName node, string workingDirectory)
    {
        LocalPaths.CheckLength(spec.Cluster, [node.Value]);
        if (spec.Coordination.Kind == CoordinationKind.Embedded)
        {
            throw new SetupRefusedException("'coordination: embedded' keeps what is decided in a file of one machine (demo, up), and the nodes of this cluster are servers",
                "Leave 'coordination' out of the file: Evenkeel runs an etcd on the voting nodes");
        }

        var external = spec.Coordination.Kind == CoordinationKind.External ? SpecLocation.In(spec, workingDirectory).Coordination : null;
        var members = external is null ? Voters(spec) : new Dictionary<string, string>();
        var self = spec.Nodes[node];
        return new AgentConfiguration
        {
            Cluster = spec.Cluster,
            Node = node,
            StateDirectory = "",
            ControlSocket = LocalPaths.ControlSocket(spec.Cluster, node.Value),
            GuardSocket = "",
            Private = [.. self.Private.Select(address => address.ToString())],
            Store = external is null ? StoreKind.Etcd : StoreKind.External,
            StoreMembers = members,
            StoreEndpoints = external is null ? EndpointsFor(node, members) : [.. external.Endpoints!.Select(url => new IPEndPoint(IPAddress.Parse(url.Host.Trim('[', ']')), url.Port).ToString())],
            StoreTls = external is not null && external.Endpoints![0].Scheme == "https" ? new EtcdTls(external.AuthorityFile, external.CertificateFile, external.KeyFile) : null,
            WorkingDirectory = workingDirectory,
        };
    }

    /// <summary>A node that is made anew from an export of its state, on this server.</summary>
    /// <param name="source">The cluster's file as it was.</param>
    internal static AgentConfiguration Settle(AgentConfiguration exported, string source, string stateDirectory, string? publicInterface)
    {
        var node = ClusterFile.Parse(source, ClusterFileName).Spec?.Nodes.GetValueOrDefault(exported.Node);
        return Settle(exported, stateDirectory, exported.PublicInterface is null ? null : node?.Public, publicInterface) with { PublicInterface = exported.PublicInterface is null ? null : publicInterface ?? (node?.Public is { } address ? InterfaceWith(address) : exported.PublicInterface) };
    }

    private static AgentConfiguration Settle(AgentConfiguration described, string stateDirectory, IPAddress? publicAddress, string? publicInterface)
    {
        CheckEmpty(stateDirectory);
        foreach (var address in described.Private)
        {
            if (InterfaceWith(IPAddress.Parse(address)) is null)
            {
                throw new SetupRefusedException($"{described.Node} has the private address {address}, which no interface of this server has",
                    $"Run this on {described.Node}, or configure the address first (ip address show)");
            }
        }

        if (publicAddress is not null && publicInterface is null)
        {
            publicInterface = InterfaceWith(publicAddress)
                ?? throw new SetupRefusedException($"{described.Node} has the public address {publicAddress}, which no interface of this server has",
                    "Configure the address first, or name the interface for virtual IPs with --public-interface");
        }
        else if (publicInterface is not null && NetworkInterface.GetAllNetworkInterfaces().All(one => one.Name != publicInterface))
        {
            throw new SetupRefusedException($"there is no interface {publicInterface} on this server", "ip link show lists them");
        }

        return described with
        {
            StateDirectory = stateDirectory,
            GuardSocket = Path.Combine(stateDirectory, "guard.sock"),
            FirstFile = Path.Combine(stateDirectory, ClusterFileName),
            PublicInterface = publicAddress is null ? null : publicInterface,
        };
    }

    private static string? InterfaceWith(IPAddress address) => NetworkInterface.GetAllNetworkInterfaces()
        .FirstOrDefault(one => one.GetIPProperties().UnicastAddresses.Any(its => its.Address.Equals(address)))?.Name;

    private static string CreatePrivate(string directory) => Directory.CreateDirectory(directory, OwnerOnly).FullName;
}
