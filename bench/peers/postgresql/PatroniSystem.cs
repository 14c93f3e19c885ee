using System.Diagnostics;
using System.Text.Json;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;

namespace Evenkeel.PostgreSqlBench;

/// <summary>
/// Patroni over a three-member etcd, synchronous mode, and HAProxy at the clients that asks Patroni ten times a second who the
/// primary is (its documentation's checks are every three seconds).
/// </summary>
internal sealed class PatroniSystem : ISystem
{
    private readonly DataDirectories _data = new();
    private readonly Dictionary<NodeName, List<Process>> _running = [];
    private readonly List<Process> _clients = [];
    private readonly ClusterSpec _spec;
    private readonly (int Ttl, int LoopWait, int RetryTimeout) _timing;

    public PatroniSystem(int ttl, int loopWait, int retryTimeout, string cluster)
    {
        _timing = (ttl, loopWait, retryTimeout);
        Name = $"Patroni {ttl}/{loopWait}/{retryTimeout} s";
        _spec = ClusterFile.Parse($$"""
            version: 1
            cluster: {{cluster}}
            networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
            nodes:
              n1: { public: 203.0.113.11, private: [10.77.0.11] }
              n2: { public: 203.0.113.12, private: [10.77.0.12] }
              n3: { public: 203.0.113.13, private: [10.77.0.13] }
            """).Spec!;
        Network = new LabNetwork(_spec);
    }

    public string Name { get; }
    public LabNetwork Network { get; }
    public IReadOnlyList<NodeName> Nodes => [.. _spec.Nodes.Keys];
    public string Address => "127.0.0.1";

    public async Task StartAsync()
    {
        await Network.UpAsync(CancellationToken.None);
        foreach (var node in Nodes)
        {
            await _data.GiveAwayAsync(node.Value);
            BringBack(node);
        }

        var configuration = Path.Combine(_data.Root, "haproxy.cfg");
        await File.WriteAllTextAsync(configuration, $"""
            defaults
              mode tcp
              timeout connect 500ms
              timeout client 60s
              timeout server 60s
              timeout check 300ms
            frontend primary
              bind 127.0.0.1:5432
              default_backend nodes
            backend nodes
              option httpchk GET /primary
              http-check expect status 200
              default-server inter 100ms fall 2 rise 1 on-marked-down shutdown-sessions
            {string.Join('\n', _spec.Nodes.Values.Select(node => $"  server {node.Name} {node.Public}:5432 check port 8008"))}

            """);
        _clients.Add(Start("client", "haproxy", "-db", "-q", "-f", configuration));
    }

    public async Task<bool> IsWholeAsync()
    {
        var members = await MembersAsync();
        return members.Count == 3 && members.Count(member => member.Role == "leader") == 1 && members.Any(member => member.Role == "sync_standby")
            && members.All(member => member.State is "running" or "streaming" && member.Lag == 0);
    }

    public async Task<NodeName?> PrimaryAsync() => (await MembersAsync()).Where(member => member is { Role: "leader", State: "running" }).Select(member => (NodeName?)member.Node).FirstOrDefault();

    public async Task SwitchoverAsync(NodeName from)
    {
        var to = (await MembersAsync()).First(member => member.Role == "sync_standby").Node;
        await SystemCommand.RunAsync(["ip", "netns", "exec", Network.Namespace(from.Value), "curl", "-sf", "-m", "30", "-X", "POST", "-d", $$"""{"leader":"{{from}}","candidate":"{{to}}"}""", $"http://{_spec.Nodes[from].Private[0]}:8008/switchover"], CancellationToken.None);
    }

    public void Kill(NodeName node)
    {
        foreach (var process in LabNetwork.ProcessesIn(Network.Namespace(node.Value)).GetAwaiter().GetResult())
        {
            Signals.Send(process, Signals.Kill);
        }

        foreach (var process in _running[node])
        {
            process.WaitForExit();
            process.Dispose();
        }

        _running.Remove(node);
    }

    public void BringBack(NodeName node)
    {
        if (_running.ContainsKey(node))
        {
            return;
        }

        var own = _spec.Nodes[node].Private[0];
        var configuration = Path.Combine(_data.Root, $"{node}-patroni.yaml");
        File.WriteAllText(configuration, $$"""
            scope: bench
            name: {{node}}
            restapi: { listen: "0.0.0.0:8008", connect_address: "{{own}}:8008" }
            etcd3: { hosts: "{{string.Join(',', _spec.Nodes.Values.Select(one => $"{one.Private[0]}:2379"))}}" }
            bootstrap:
              dcs:
                ttl: {{_timing.Ttl}}
                loop_wait: {{_timing.LoopWait}}
                retry_timeout: {{_timing.RetryTimeout}}
                synchronous_mode: true
                postgresql: { use_pg_rewind: true, use_slots: true, parameters: { wal_log_hints: "on" } }
              initdb: [data-checksums]
              pg_hba: ["local all all trust", "host all all 0.0.0.0/0 trust", "host replication all 0.0.0.0/0 trust"]
            postgresql:
              listen: "0.0.0.0:5432"
              connect_address: "{{own}}:5432"
              data_dir: {{_data.Of(node.Value)}}/db
              bin_dir: /usr/lib/postgresql/15/bin
              pgpass: {{_data.Of(node.Value)}}/pgpass
              parameters: { unix_socket_directories: "{{_data.Of(node.Value)}}" }
              authentication:
                superuser: { username: postgres }
                replication: { username: replicator }
                rewind: { username: rewinder }
            """);
        var etcd = Path.Combine(_data.Root, $"{node}-etcd");
        var again = Directory.Exists(etcd);
        _running[node] =
        [
            Start(node.Value, "etcd", "--name", node.Value, "--data-dir", etcd, "--log-level", "error",
                "--listen-client-urls", $"http://{own}:2379", "--advertise-client-urls", $"http://{own}:2379",
                "--listen-peer-urls", $"http://{own}:2380", "--initial-advertise-peer-urls", $"http://{own}:2380",
                "--initial-cluster", string.Join(',', _spec.Nodes.Values.Select(one => $"{one.Name}=http://{one.Private[0]}:2380")),
                "--initial-cluster-state", again ? "existing" : "new"),
            Start(node.Value, "setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "env", "LC_ALL=C.UTF-8", $"HOME={_data.Of(node.Value)}", "patroni", configuration),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _running.Keys.ToList())
        {
            Kill(node);
        }

        foreach (var process in _clients)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
        }

        await Network.DownAsync();
        _data.Dispose();
    }

    private sealed record Member(NodeName Node, string Role, string State, long Lag);

    /// <summary>As the first node says that answers; empty when none does.</summary>
    private async Task<IReadOnlyList<Member>> MembersAsync()
    {
        foreach (var node in _running.Keys)
        {
            try
            {
                var said = await SystemCommand.RunAsync(["ip", "netns", "exec", Network.Namespace(node.Value), "curl", "-sf", "-m", "1", $"http://{_spec.Nodes[node].Private[0]}:8008/cluster"], CancellationToken.None);
                return [.. JsonDocument.Parse(said).RootElement.GetProperty("members").EnumerateArray().Select(member => new Member(
                    new NodeName(member.GetProperty("name").GetString()!), member.GetProperty("role").GetString()!, member.GetProperty("state").GetString()!,
                    member.TryGetProperty("lag", out var lag) ? lag.ValueKind == JsonValueKind.Number ? lag.GetInt64() : -1 : 0))];
            }
            catch (LocalClusterException)
            {
                // The next one.
            }
        }

        return [];
    }

    private Process Start(string node, params string[] command)
    {
        var process = Process.Start(new ProcessStartInfo("ip", ["netns", "exec", Network.Namespace(node), .. command]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var log = Environment.GetEnvironmentVariable("EVENKEEL_LAB_LOGS") is { Length: > 0 } keep ? Path.Combine(keep, $"{node}-{command[0]}.log") : null;
        void Say(string? line)
        {
            if (log is not null && line is not null)
            {
                lock (_running)
                {
                    File.AppendAllText(log, line + '\n');
                }
            }
        }

        process.OutputDataReceived += (_, line) => Say(line.Data);
        process.ErrorDataReceived += (_, line) => Say(line.Data);
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }
}
