using System.Diagnostics;
using System.Globalization;
using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;

namespace Evenkeel.EndToEnd.PublicConnection;

/// <summary>
/// nginx servers, each in a network namespace of its own behind a veth pair, so that one can be killed, stopped, or silently cut off.
/// Removed with all that is in them. Each farm has a /24 of 10.92.0.0/16 to itself, also beside other test programs.
/// </summary>
internal sealed class NginxFarm : IDisposable
{
    /// <summary>A path with an answer of four megabytes.</summary>
    public const string Large = "/large";
    /// <summary>A path with the server's name as its answer.</summary>
    public const string Small = "/";
    private static int counter;
    private readonly string prefix = string.Create(CultureInfo.InvariantCulture, $"ew{Environment.ProcessId}x{Interlocked.Increment(ref counter)}n");
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-nginx-").FullName;
    private readonly NetworkShare network = new();
    private readonly List<Process> servers = [];
    private readonly List<string> made = [];

    public NginxFarm(int count)
    {
        SweepLeftovers();
        try
        {
            for (var number = 1; number <= count; number++) Add(number);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public int Count => servers.Count;

    // Of test programs that were killed: their addresses are the same as ours.
    private static void SweepLeftovers()
    {
        foreach (var name in Run("ip netns list").Split('\n').Select(line => line.Split(' ')[0]).Where(name => name.StartsWith("ew", StringComparison.Ordinal)))
        {
            if (!int.TryParse(name[2..].Split('x')[0], CultureInfo.InvariantCulture, out var owner) || Directory.Exists($"/proc/{owner}")) continue;
            foreach (var left in Run($"ip netns pids {name}").Split('\n', StringSplitOptions.RemoveEmptyEntries)) Run($"kill -KILL {left}");
            if (Directory.Exists("/sys/class/net/" + name)) Run($"ip link del {name}");
            Run($"ip netns del {name}");
        }
    }

    public Destination Destination(int number) => new("web", new NodeName("n" + number.ToString(CultureInfo.InvariantCulture)),
        new PrivateEndpoint(IPAddress.Parse(There(number)), 8080), DestinationState.Up);

    private string Here(int number) => network.Address(4 * number + 1);
    private string There(int number) => network.Address(4 * number + 2);

    /// <summary>It is dead when this returns: until then the kernel takes connections for it.</summary>
    public void Kill(int number)
    {
        servers[number - 1].Kill(entireProcessTree: true);
        servers[number - 1].WaitForExit();
    }

    public void Stop(int number) => Run($"kill -STOP {servers[number - 1].Id}");

    /// <summary>Every packet vanishes from now on; nobody is told.</summary>
    public void CutSilently(int number)
    {
        var name = prefix + number;
        Run($"ip netns exec {name} nft add table inet cut");
        Run($"ip netns exec {name} nft add chain inet cut input {{ type filter hook input priority 0 ; policy drop ; }}");
        Run($"ip netns exec {name} nft add chain inet cut output {{ type filter hook output priority 0 ; policy drop ; }}");
    }

    public void Dispose()
    {
        foreach (var server in servers)
        {
            if (!server.HasExited) server.Kill(entireProcessTree: true);
            server.WaitForExit();
            server.Dispose();
        }
        foreach (var name in made)
        {
            // The namespace may outlive its name by a while, and its veth with it; this end takes both away now.
            if (Directory.Exists("/sys/class/net/" + name)) Run($"ip link del {name}");
            Run($"ip netns del {name}");
        }
        Directory.Delete(directory, recursive: true);
        network.Dispose();
    }

    public static string Run(string command)
    {
        var words = command.Split(' ');
        using var process = Process.Start(new ProcessStartInfo(words[0], words[1..]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{command}: {error.Result}{output}");
    }

    private void Add(int number)
    {
        var name = prefix + number;
        Run($"ip netns add {name}");
        made.Add(name);
        Run($"ip link add {name} type veth peer name eth0 netns {name}");
        Run($"ip addr add {Here(number)}/30 dev {name}");
        Run($"ip link set {name} up");
        Run($"ip netns exec {name} ip addr add {There(number)}/30 dev eth0");
        Run($"ip netns exec {name} ip link set eth0 up");
        servers.Add(Serve(number, name));
    }

    private Process Serve(int number, string name)
    {
        var file = Path.Combine(directory, name + ".conf");
        using (var large = File.Create(directory + Large)) large.SetLength(4 << 20);
        // One process and no fork, so that a signal reaches all of it. Its send queues are bounded: they are in our kernel's memory, and not on a server of their own.
        File.WriteAllText(file, $$"""
            daemon off; master_process off; pid {{directory}}/{{name}}.pid; error_log {{directory}}/{{name}}.log;
            events { worker_connections 4096; }
            http {
              access_log off; client_max_body_size 0; client_body_temp_path {{directory}}; proxy_temp_path {{directory}};
              fastcgi_temp_path {{directory}}; uwsgi_temp_path {{directory}}; scgi_temp_path {{directory}};
              server {
                listen {{There(number)}}:8080 backlog=4096 sndbuf=128k;
                location /healthz { return 200 "ok"; }
                location = {{Large}} { root {{directory}}; }
                location / { return 200 "n{{number}}"; }
              }
            }
            """);
        var process = Process.Start("ip", ["netns", "exec", name, "nginx", "-c", file, "-e", Path.Combine(directory, name + ".log")]);
        using var probe = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        for (var waited = Stopwatch.StartNew(); ;)
        {
            try
            {
                probe.GetAsync(new Uri($"http://{There(number)}:8080/healthz")).GetAwaiter().GetResult().Dispose();
                return process;
            }
            catch (HttpRequestException) when (waited.Elapsed < TimeSpan.FromSeconds(20) && !process.HasExited)
            {
                Thread.Sleep(20);
            }
        }
    }
}
