using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>One lab for the classes that need no other.</summary>
[CollectionDefinition(Name)]
public sealed class WebCollection : ICollectionFixture<WebLab>
{
    public const string Name = "web";
}

/// <summary>
/// Three nodes in network namespaces with two private links each, a managed three-member etcd, a hot web service behind a real
/// virtual IP, and a client. One lab for many tests: each leaves it whole.
/// </summary>
public class WebLab : NamespaceLab
{
    public WebLab() : this("t") { }

    /// <param name="prefix">Of the cluster's name: classes that run at the same time have labs of different names.</param>
    protected WebLab(string prefix) : base(prefix) { }

    private const string Vip = "203.0.113.10:80";

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks:
          public: 203.0.113.0/24
          private: [10.77.0.0/24, 10.78.0.0/24]
        vips:
          front: 203.0.113.10
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11, 10.78.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12, 10.78.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13, 10.78.0.13] }
        services:
          web:
            process:
              command: [./service/bin/web, --urls, "http://{private}:5000", --node, "{node}"]
            redundancy: hot
            health: { http: /healthz, every: 100ms, timeout: 100ms, rise: 2, fall: 2 }
            publish: [{ vip: front, port: 80, protocol: http }]
            objectives: { rto: 1s, rpo: 0s }
        """;

    protected override string WorkingDirectory => Path.Combine(Checkout.Root, "examples", "web");

    internal Task<Observer> ObserveAsync(int connectMilliseconds = 200) => Observer.StartAsync(Cluster.Network.Namespace("client"), Vip, connectMilliseconds);

    internal async Task<NodeName> OwnerAsync() => await Cluster.FrontDoorOwnerAsync(Deadline()) ?? throw new InvalidOperationException("nobody holds the front door");

    /// <summary>Null while there is none.</summary>
    internal async Task<NodeName?> ControllerAsync() => (await Cluster.StatusAsync(Deadline()))?.Controller?.Node;

    /// <summary>Waits until another node than <paramref name="former"/> holds the front door.</summary>
    internal async Task<NodeName> NextOwnerAsync(NodeName former)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if (await Cluster.FrontDoorOwnerAsync(deadline) is { } owner && owner != former) return owner;
    }

    internal NodeName Other(params NodeName[] than) => Cluster.Spec.Nodes.Keys.First(node => !than.Contains(node));

    /// <summary>The hardware address with which a node answers for the virtual IP.</summary>
    internal async Task<string> HardwareOf(NodeName node) =>
        (await SystemCommand.RunAsync(["ip", "netns", "exec", Cluster.Network.Namespace(node.Value), "cat", "/sys/class/net/pub0/address"], Deadline())).Trim();

    /// <summary>One process's id, found by what its name ends with, in a node's namespace.</summary>
    internal Task<int> ProcessIn(NodeName node, string nameEnds) =>
        RunningPrograms.OneInAsync(Cluster.Network.Namespace(node.Value), words => words[0].EndsWith(nameEnds, StringComparison.Ordinal), nameEnds);
}
