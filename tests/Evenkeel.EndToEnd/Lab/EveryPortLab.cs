using System.Globalization;
using System.Net;
using System.Text.Json.Nodes;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>What somebody listens for.</summary>
public enum Purpose
{
    /// <summary>Clients' own: a published port of a virtual IP.</summary>
    Door,
    /// <summary>Says who has which role, to anybody.</summary>
    Roles,
    /// <summary>Mutual TLS from the first byte.</summary>
    Members,
    /// <summary>A volume's leg: NBD, mutual TLS after STARTTLS.</summary>
    Leg,
    /// <summary>TLS; a one-time token.</summary>
    Enrolment,
    /// <summary>TLS; a bearer's token.</summary>
    Api,
    /// <summary>Plain, for a Prometheus server on the private network, where the node's file asks for it.</summary>
    Metrics,
    /// <summary>A service's instance, behind its door: plain on the private network, unless the service has TLS of its own.</summary>
    Instance,
    PostgreSql,
    /// <summary>Keyed datagrams.</summary>
    Guard,
}

internal sealed record Listener(string Node, bool Udp, IPAddress Address, int Port)
{
    /// <summary>Null when nobody knows what it is for.</summary>
    public Purpose? Purpose { get; } = (Udp, Port) switch
    {
        (true, PrivatePorts.Guard) => Lab.Purpose.Guard,
        (true, _) => null,
        (_, 80 or EveryPortLab.DatabaseDoor) => Lab.Purpose.Door,
        (_, EveryPortLab.Roles) => Lab.Purpose.Roles,
        (_, PrivatePorts.Peer or PrivatePorts.Desk or PrivatePorts.EtcdClient or PrivatePorts.EtcdPeer) => Lab.Purpose.Members,
        (_, EveryPortLab.Leg) => Lab.Purpose.Leg,
        (_, PrivatePorts.Enrolment) => Lab.Purpose.Enrolment,
        (_, ApiSpec.StandardPort) => Lab.Purpose.Api,
        (_, EveryPortLab.Metrics) => Lab.Purpose.Metrics,
        (_, EveryPortLab.Web) => Lab.Purpose.Instance,
        (_, EveryPortLab.Database) => Lab.Purpose.PostgreSql,
        _ => null,
    };

    public override string ToString() => $"{Node}: {(Udp ? "UDP" : "TCP")} {new IPEndPoint(Address, Port)}";
}

/// <summary>
/// A cluster of three in which everything listens that Evenkeel can make listen, by IPv4 and IPv6: doors, a web service, a hot
/// PostgreSQL, a volume's legs, the API, metrics, roles, enrolment.
/// </summary>
public sealed class EveryPortLab : IAsyncLifetime
{
    internal const int Web = 5000, Database = 5432, DatabaseDoor = 15432, Leg = 7820, Metrics = 9477, Roles = 8008;
    internal const string Name = "ports";
    internal static readonly string[] Nodes = ["n1", "n2", "n3"];
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-ports-").FullName;

    private string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: [203.0.113.0/24, "2001:db8:113::/64"], private: [10.77.0.0/24, "fd77::/64"] }
        vips: { four: { address: 203.0.113.10, group: front }, six: { address: "2001:db8:113::10", group: front } }
        nodes:
          n1: { public: [203.0.113.11, "2001:db8:113::11"], private: [10.77.0.11, "fd77::11"] }
          n2: { public: [203.0.113.12, "2001:db8:113::12"], private: [10.77.0.12, "fd77::12"] }
          n3: { public: [203.0.113.13, "2001:db8:113::13"], private: [10.77.0.13, "fd77::13"] }
        services:
          web:
            process: { command: [./service/bin/web, --urls, "http://{private}:{{Web}}", --node, "{node}"] }
            redundancy: hot
            health: { http: /healthz }
            publish: [{ vip: four, port: 80, protocol: http }, { vip: six, port: 80, protocol: http }]
          db:
            postgresql: { data: "{{directory}}/{node}/db" }
            redundancy: hot
            instances: 2
            publish: [{ vip: four, port: {{DatabaseDoor}}, protocol: tcp, to: primary }]
          ledger:
            process: { command: [sleep, infinity] }
            redundancy: cold
            mounts: ["files:{{directory}}/mnt"]
        volumes:
          files: { raid: 1, size: 64MiB, port: {{Leg}}, members: ["n1:{{directory}}/n1/leg.img", "n2:{{directory}}/n2/leg.img"] }
        api: {}
        """;

    internal Servers Servers { get; private set; } = null!;
    internal ClusterSpec Spec { get; private set; } = null!;
    /// <summary>For what a test makes.</summary>
    internal string Place => directory;

    internal static string Socket(string node) => LocalPaths.ControlSocket(Name, node);

    public async ValueTask InitializeAsync()
    {
        // PostgreSQL runs as a user of its own, and must reach its data.
        foreach (var path in Nodes.Select(node => Path.Combine(directory, node)).Prepend(directory))
            File.SetUnixFileMode(Directory.CreateDirectory(path).FullName, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherExecute | UnixFileMode.GroupExecute);
        var read = ClusterFile.Parse(FileText, "cluster.yaml");
        Spec = read.Spec ?? throw new InvalidOperationException($"the lab's own file is refused: {string.Join("; ", read.Diagnostics)}");
        Servers = await Servers.StartAsync(Name, FileText);
        await Servers.InitAllAsync();
        foreach (var node in Nodes)
        {
            var file = Path.Combine(Servers.State(node), "agent.json");
            var agent = JsonNode.Parse(await File.ReadAllTextAsync(file))!.AsObject();
            var own = Spec.Nodes[new NodeName(node)];
            (agent["metrics"], agent["roles"]) = (new IPEndPoint(own.Private[0], Metrics).ToString(), new IPEndPoint(own.Public!, Roles).ToString());
            await File.WriteAllTextAsync(file, agent.ToJsonString());
        }

        Servers.StartAgents();
        await Servers.WholeAsync();
        // Not what a status says: somebody listens for everything.
        IReadOnlyList<Listener> found = [];
        for (var deadline = NamespaceLab.Deadline(); Enum.GetValues<Purpose>().Except(found.Select(one => one.Purpose ?? Purpose.Door)).Any(); await Task.Delay(200, deadline))
            found = await ListenersAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (Servers is not null) await Servers.DisposeAsync();
        await Servers.UnmountUnderAsync(directory);
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>Every socket in the nodes' namespaces that waits for others.</summary>
    internal async Task<IReadOnlyList<Listener>> ListenersAsync()
    {
        List<Listener> found = [];
        foreach (var node in Nodes)
        {
            var (code, output) = await Servers.RunProgramAsync(node, "ss", "-lntuH");
            Assert.Equal(0, code);
            foreach (var words in output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
            {
                // Netid State Recv-Q Send-Q Local Peer; a local address may name its interface, or be '*' for both families.
                var (local, colon) = (words[4], words[4].LastIndexOf(':'));
                var address = local[..colon].Split('%')[0].Trim('[', ']') is var text && text == "*" ? IPAddress.IPv6Any : IPAddress.Parse(text.Split('%')[0]);
                found.Add(new Listener(node, words[0] == "udp", address, int.Parse(local[(colon + 1)..], CultureInfo.InvariantCulture)));
            }
        }

        return found;
    }

    /// <summary>Who answers a connection from there, of these; without a line from who does not.</summary>
    internal async Task<IReadOnlyDictionary<(IPAddress Address, int Port), string>> KnockAsync(string where, IEnumerable<(IPAddress Address, int Port)> at)
    {
        var (code, output) = await Servers.TellAsync(where, string.Concat(at.Distinct().Select(one => $"{one.Address} {one.Port}\n")),
            "python3", Path.Combine(AppContext.BaseDirectory, "Lab", "knock.py"), "1.5");
        Assert.True(code == 0, output);
        return output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split(' ', 3))
            .ToDictionary(words => (IPAddress.Parse(words[0]), int.Parse(words[1], CultureInfo.InvariantCulture)), words => words[2]);
    }
}
