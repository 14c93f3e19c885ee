using System.Diagnostics;
using System.Globalization;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Evenkeel.EndToEnd.Lab;

namespace Evenkeel.FailoverBench;

/// <summary>
/// The usual pair: keepalived moves the virtual IP, HAProxy on every node spreads requests over all three instances. HAProxy is
/// tuned as its users tune it for this (checks each 100 ms, redispatch, retries on everything that may be repeated).
/// </summary>
internal sealed class KeepalivedSystem : ISystem
{
    private readonly string _advert;
    private readonly string _directory = Directory.CreateTempSubdirectory("failover-bench-").FullName;
    private readonly Dictionary<NodeName, List<Process>> _running = [];
    private readonly ClusterSpec _spec;

    /// <param name="advertSeconds">VRRP's advertisement interval; 1 is keepalived's default.</param>
    public KeepalivedSystem(double advertSeconds, string cluster)
    {
        _advert = advertSeconds.ToString(CultureInfo.InvariantCulture);
        Name = $"keepalived {_advert} s";
        var text = File.ReadAllText(Path.Combine(Checkout.Root, "examples", "web", "cluster.yaml")).Replace("cluster: demo", $"cluster: {cluster}", StringComparison.Ordinal);
        _spec = ClusterFile.Parse(text).Spec!;
        Network = new LabNetwork(_spec);
    }

    public string Name { get; }
    public LabNetwork Network { get; }
    public IReadOnlyList<NodeName> Nodes => [.. _spec.Nodes.Keys];

    public async Task StartAsync()
    {
        await Network.UpAsync(CancellationToken.None);
        foreach (var node in Nodes)
        {
            // HAProxy listens on the virtual IP before it is there, as keepalived's users set it up.
            await SystemCommand.RunAsync(["ip", "netns", "exec", Network.Namespace(node.Value), "sysctl", "-qw", "net.ipv4.ip_nonlocal_bind=1"], CancellationToken.None);
            BringBack(node);
        }
    }

    public async Task WholeAsync()
    {
        while (true)
        {
            var holders = await Holders.OfAsync(this);
            if (holders.Count == 1 && await AllServeAsync(holders[0]))
            {
                return;
            }

            await Task.Delay(100);
        }
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

        var spec = _spec.Nodes[node];
        var haproxy = Path.Combine(_directory, $"{node}-haproxy.cfg");
        File.WriteAllText(haproxy, $"""
            global
              maxconn 4000
            defaults
              mode http
              timeout connect 200ms
              timeout client 10s
              timeout server 10s
              timeout check 100ms
              retries 3
              option redispatch 1
              retry-on all-retryable-errors
            frontend front
              bind {Holders.Vip}:80
              default_backend web
            backend web
              option httpchk GET /healthz
              default-server inter 100ms fall 2 rise 2 on-marked-down shutdown-sessions
            {string.Join('\n', _spec.Nodes.Values.Select(one => $"  server {one.Name} {one.Private[0]}:5000 check"))}

            """);
        var priority = 100 - Nodes.ToList().IndexOf(node);
        var keepalived = Path.Combine(_directory, $"{node}-keepalived.conf");
        File.WriteAllText(keepalived, $$"""
            global_defs {
              vrrp_version 3
              vrrp_garp_master_repeat 5
            }
            vrrp_instance front {
              state BACKUP
              nopreempt
              interface {{LabNetwork.PublicInterface}}
              virtual_router_id 10
              priority {{priority}}
              advert_int {{_advert}}
              virtual_ipaddress { {{Holders.Vip}}/24 }
            }

            """);
        _running[node] =
        [
            Start(node, Path.Combine(Checkout.Root, "examples/web/service/bin/web"), "--urls", $"http://{spec.Private[0]}:5000", "--node", node.Value),
            Start(node, "haproxy", "-db", "-q", "-f", haproxy),
            Start(node, "keepalived", "--dont-fork", "--vrrp", "-f", keepalived, "-p", Path.Combine(_directory, $"{node}.pid"), "-r", Path.Combine(_directory, $"{node}-vrrp.pid")),
        ];
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _running.Keys.ToList())
        {
            Kill(node);
        }

        await Network.DownAsync();
        Directory.Delete(_directory, recursive: true);
    }

    private Process Start(NodeName node, params string[] command)
    {
        var start = new ProcessStartInfo("ip", ["netns", "exec", Network.Namespace(node.Value), .. command]) { RedirectStandardOutput = true, RedirectStandardError = true };
        var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private async Task<bool> AllServeAsync(NodeName from)
    {
        foreach (var spec in _spec.Nodes.Values)
        {
            try
            {
                await SystemCommand.RunAsync(["ip", "netns", "exec", Network.Namespace(from.Value), "curl", "-sf", "-m", "1", "-o", "/dev/null", $"http://{spec.Private[0]}:5000/healthz"], CancellationToken.None);
            }
            catch (LocalClusterException)
            {
                return false;
            }
        }

        return true;
    }
}
