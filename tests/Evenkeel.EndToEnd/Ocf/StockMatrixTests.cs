using System.Globalization;
using Evenkeel.Agent.Local;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Ocf;

/// <summary>
/// Stock agents of Debian's resource-agents over what they run for real, unchanged and without systemd: started, started again to no
/// effect, found by a restarted agent, stopped, stopped again, and started once more.
/// </summary>
[Collection("namespaces")]
[Trait("needs", "resource-agents")]
[Trait("Machine", "shared"), Trait("Turn", "1")]
public sealed class StockMatrixTests
{
    private const UnixFileMode Passable = (UnixFileMode)0b111_001_001;
    private static readonly Dictionary<string, Func<string, Task<Dictionary<string, string>>>> s_agents = new(StringComparer.Ordinal)
    {
        ["anything"] = directory => Task.FromResult(new Dictionary<string, string> { ["binfile"] = "/usr/bin/sleep", ["cmdline_options"] = "600", ["pidfile"] = $"{directory}/anything.pid" }),
        ["apache"] = ApacheAsync,
        ["Delay"] = _ => Task.FromResult(new Dictionary<string, string> { ["startdelay"] = "0", ["stopdelay"] = "0", ["mondelay"] = "0" }),
        ["Dummy"] = directory => Task.FromResult(new Dictionary<string, string> { ["state"] = $"{directory}/dummy" }),
        ["IPaddr2"] = _ => Task.FromResult(new Dictionary<string, string> { ["ip"] = "198.51.100.77", ["cidr_netmask"] = "32", ["nic"] = "lo" }),
        ["mysql"] = MariaDbAsync,
        ["nginx"] = NginxAsync,
        ["pgsql"] = PostgreSqlAsync,
        ["portblock"] = _ => Task.FromResult(new Dictionary<string, string> { ["protocol"] = "tcp", ["portno"] = "18999", ["action"] = "block" }),
        ["Route"] = _ => Task.FromResult(new Dictionary<string, string> { ["destination"] = "198.51.100.128/25", ["device"] = "lo" }),
        ["rsyncd"] = RsyncAsync,
        ["SendArp"] = _ => Task.FromResult(new Dictionary<string, string> { ["ip"] = "127.0.0.1", ["nic"] = "lo" }),
        ["symlink"] = directory => Task.FromResult(new Dictionary<string, string> { ["link"] = $"{directory}/link", ["target"] = directory }),
    };

    public static TheoryData<string> Agents => [.. s_agents.Keys];

    [Theory, MemberData(nameof(Agents))]
    public async Task Agent_Unchanged_StartsIsFoundAndStops(string agent)
    {
        await using var node = new OcfNode();
        File.SetUnixFileMode(node.Directory, Passable);
        var order = node.Order("heartbeat:" + agent, await s_agents[agent](node.Directory), change: driver => driver with { StartTimeout = TimeSpan.FromSeconds(60) });
        await node.StartAsync(order);
        Assert.Equal((InstanceStatus.Running, Health.Healthy), (node.Facts.Status, node.Facts.Health));
        var process = node.Facts.ProcessId;
        await node.StartAsync(order);
        await node.RestartAgentAsync();
        await node.StartAsync(order);
        Assert.Equal((process, InstanceStatus.Running), (node.Facts.ProcessId, node.Facts.Status));
        await node.StopAsync();
        await node.StopAsync();
        await node.StartAsync(order);
        Assert.NotEqual(process, node.Facts.ProcessId);
        await node.StopAsync();
    }

    private static async Task<Dictionary<string, string>> ApacheAsync(string directory)
    {
        var port = PublicConnection.FreePort.Take().Port;
        await File.WriteAllTextAsync($"{directory}/apache.conf", $"""
            ServerRoot {directory}
            PidFile {directory}/apache.pid
            Listen 127.0.0.1:{port}
            LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
            LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
            LoadModule status_module /usr/lib/apache2/modules/mod_status.so
            DocumentRoot {directory}
            ErrorLog {directory}/apache.log
            <Location /server-status>
            SetHandler server-status
            </Location>
            """);
        return new() { ["configfile"] = $"{directory}/apache.conf", ["httpd"] = "/usr/sbin/apache2", ["statusurl"] = $"http://127.0.0.1:{port}/server-status" };
    }

    private static async Task<Dictionary<string, string>> NginxAsync(string directory)
    {
        var port = PublicConnection.FreePort.Take().Port;
        await File.WriteAllTextAsync($"{directory}/nginx.conf", $$"""
            pid {{directory}}/nginx.pid;
            error_log {{directory}}/error.log;
            events {}
            http { access_log off; server { listen 127.0.0.1:{{port}}; location / { stub_status; } } }
            """);
        return new() { ["configfile"] = $"{directory}/nginx.conf", ["httpd"] = "/usr/sbin/nginx", ["status10url"] = $"http://127.0.0.1:{port}/" };
    }

    private static async Task<Dictionary<string, string>> RsyncAsync(string directory)
    {
        await File.WriteAllTextAsync($"{directory}/rsyncd.conf", $"pid file = {directory}/rsyncd.pid\nport = {PublicConnection.FreePort.Take().Port}\naddress = 127.0.0.1\n[d]\npath = {directory}\n");
        return new() { ["conffile"] = $"{directory}/rsyncd.conf", ["binpath"] = "/usr/bin/rsync" };
    }

    private static async Task<Dictionary<string, string>> PostgreSqlAsync(string directory)
    {
        const string Programs = "/usr/lib/postgresql/15/bin";
        await OwnedAsync("postgres", $"{directory}/pg");
        await SystemCommand.RunAsync(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", $"{Programs}/initdb", "-D", $"{directory}/pg/data", "--no-sync", "--auth=trust"], OcfNode.Token);
        // The agent tells its client of these two, not the server.
        var port = PublicConnection.FreePort.Take().Port.ToString(CultureInfo.InvariantCulture);
        await File.AppendAllTextAsync($"{directory}/pg/data/postgresql.conf", $"port = {port}\nunix_socket_directories = '{directory}/pg'\n", OcfNode.Token);
        return new()
        {
            ["pgdata"] = $"{directory}/pg/data", ["pgctl"] = $"{Programs}/pg_ctl", ["psql"] = $"{Programs}/psql", ["logfile"] = $"{directory}/pg/log",
            ["pgport"] = port, ["socketdir"] = $"{directory}/pg",
        };
    }

    private static async Task<Dictionary<string, string>> MariaDbAsync(string directory)
    {
        await OwnedAsync("mysql", $"{directory}/my");
        await SystemCommand.RunAsync(["mysql_install_db", "--user=mysql", $"--datadir={directory}/my/data", "--skip-test-db"], OcfNode.Token);
        return new()
        {
            ["binary"] = "/usr/sbin/mariadbd", ["client_binary"] = "/usr/bin/mariadb", ["datadir"] = $"{directory}/my/data", ["config"] = "/etc/mysql/my.cnf",
            ["pid"] = $"{directory}/my/pid", ["socket"] = $"{directory}/my/socket", ["log"] = $"{directory}/my/log",
            ["additional_parameters"] = $"--bind-address=127.0.0.1 --port={PublicConnection.FreePort.Take().Port}",
        };
    }

    private static async Task OwnedAsync(string user, string directory)
    {
        Directory.CreateDirectory(directory);
        await SystemCommand.RunAsync(["chown", $"{user}:{user}", directory], OcfNode.Token);
    }
}
