using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Evenkeel.BalancerBench;

/// <summary>All proxies at once, warm, behind them the same backends; measured one after the other, round by round.</summary>
internal sealed class Bench : IDisposable
{
    private const int ProxyCore = 0, OtherCore = 1;
    private static readonly (string Path, int Bytes)[] s_sizes = [("/100", 100), ("/10k", 10_240), ("/1m", 1_048_576)];
    private readonly string directory = Directory.CreateTempSubdirectory("balancer-bench-").FullName;
    private readonly int[] ports = [.. Enumerable.Range(0, 11).Select(_ => FreePort())];
    private readonly List<Proxy> backends = [];
    private readonly List<Proxy> proxies = [];
    private readonly Table table = new();
    private readonly string cutTable = "balancer_bench_" + Text(Environment.ProcessId);

    public Bench()
    {
        try
        {
            foreach (var (path, bytes) in s_sizes) File.WriteAllBytes(directory + path, new byte[bytes]);
            for (var i = 0; i < 3; i++) backends.Add(StartBackend(i));
            var behind = ports[..3];
            var haproxy = Written("haproxy.cfg", Configurations.Haproxy(16_384, ports[3], ports[4], behind));
            var large = Written("large.cfg", Configurations.Haproxy(131_072, ports[8], ports[9], behind));
            var own = Environment.ProcessPath!;
            string[] names = [.. behind.Select(Text)];
            proxies.Add(new("Evenkeel", ProxyCore, ports[5], [own, "serve", "http", Text(ports[5]), .. names]));
            if (Environment.GetEnvironmentVariable("OTHER_BUILD") is { Length: > 0 } other)
                proxies.Add(new("Evenkeel, other build", ProxyCore, ports[10], [other, "serve", "http", Text(ports[10]), .. names]));
            proxies.Add(new("HAProxy", ProxyCore, ports[3], "haproxy", "-db", "-f", haproxy));
            proxies.Add(new("HAProxy, 128 KB buffers", ProxyCore, ports[8], "haproxy", "-db", "-f", large));
            proxies.Add(new("nginx", ProxyCore, ports[6], "nginx", "-e", directory + "/proxy.log", "-c", Written("proxy.conf", Configurations.NginxProxy(directory, ports[6], behind))));
            EvenkeelTcp = new("Evenkeel", ProxyCore, ports[7], [own, "serve", "tcp", Text(ports[7]), .. names]);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    private Proxy? EvenkeelTcp { get; }

    public async Task RunAsync(int rounds, IReadOnlyCollection<string> parts)
    {
        bool Wanted(string part) => parts.Count == 0 || parts.Contains(part);
        foreach (var proxy in proxies)
            // A compiler that shares the only core takes its time, and would be charged to the first measurement.
            foreach (var (path, _) in s_sizes) await Load.RunAsync(OtherCore, proxy.Port, path, !proxy.Name.StartsWith("Evenkeel", StringComparison.Ordinal) ? 1 : path == "/100" ? 20 : 6, newConnections: false);
        for (var round = 0; round < rounds; round++)
        {
            if (Wanted("http"))
                foreach (var (path, bytes) in s_sizes)
                    foreach (var proxy in proxies) await CostAsync($"http, {Size(bytes)}", proxy, proxy.Port, path, newConnections: false);
            if (Wanted("connections"))
                foreach (var proxy in proxies) await CostAsync("http, a connection each", proxy, proxy.Port, "/100", newConnections: true);
            if (Wanted("tcp"))
                foreach (var (path, newConnections, what) in new[] { ("/100", false, "tcp, 100 B kept"), ("/100", true, "tcp, a connection each"), ("/1m", false, "tcp, 1 MB kept") })
                    foreach (var (proxy, port) in new[] { (EvenkeelTcp!, EvenkeelTcp!.Port), (Named("HAProxy"), ports[4]), (Named("HAProxy, 128 KB buffers"), ports[9]) }) await CostAsync(what, proxy, port, path, newConnections);
            if (Wanted("latency"))
                foreach (var (name, port) in proxies.Select(proxy => (proxy.Name, proxy.Port)).Prepend(("no balancer", ports[0]))) Latency(name, port);
            if (Wanted("faults"))
                foreach (var fault in new[] { "KILL", "CUT", "STOP" })
                    foreach (var proxy in proxies) await FaultAsync(proxy, fault);
        }
        if (Wanted("idle"))
            foreach (var proxy in proxies) IdleConnections(proxy);
        table.Print();
    }

    public void Dispose()
    {
        foreach (var one in proxies.Append(EvenkeelTcp).Concat(backends)) one?.Dispose();
        Directory.Delete(directory, recursive: true);
    }

    private async Task CostAsync(string what, Proxy proxy, int port, string path, bool newConnections)
    {
        var before = proxy.Cpu();
        var load = await Load.RunAsync(OtherCore, port, path, path == "/1m" ? 4 : 2, newConnections);
        table.Add($"{what}: CPU s per 100k requests", proxy.Name, (proxy.Cpu() - before) / load.Requests * 100_000, "0.00");
        if (load.Failed > 0) table.Add($"{what}: failed", proxy.Name, load.Failed, "0");
    }

    /// <summary>One request after the other, so that nothing waits for anything but its own way.</summary>
    private void Latency(string name, int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(IPAddress.Loopback, port);
        var request = Encoding.ASCII.GetBytes("GET /100 HTTP/1.1\r\nHost: x\r\n\r\n");
        var answer = new byte[4096];
        var times = new List<double>();
        for (var i = 0; i < 4000; i++)
        {
            var began = Stopwatch.GetTimestamp();
            socket.Send(request);
            for (var got = 0; !Ends(answer.AsSpan(0, got)); got += socket.Receive(answer.AsSpan(got))) { }
            if (i >= 500) times.Add(Stopwatch.GetElapsedTime(began).TotalMicroseconds);
        }
        times.Sort();
        table.Add("one after the other, 100 B: p50 µs", name, times[times.Count / 2], "0");
        table.Add("one after the other, 100 B: p99 µs", name, times[times.Count * 99 / 100], "0");
    }

    // The body is 100 zero bytes.
    private static bool Ends(ReadOnlySpan<byte> answer) => answer.IndexOf("\r\n\r\n"u8) is var head and >= 0 && answer.Length >= head + 104;

    private async Task FaultAsync(Proxy proxy, string signal)
    {
        var load = Load.RunAsync(OtherCore, proxy.Port, "/100", 4, newConnections: false);
        await Task.Delay(1000);
        if (signal == "CUT") Cut();
        else backends[1].Signal(signal);
        var met = await load;
        var what = signal switch { "KILL" => "a backend killed", "CUT" => "a backend silently cut", _ => "a backend stopped (SIGSTOP)" };
        table.Add($"{what}: failed requests", proxy.Name, met.Failed, "0");
        table.Add($"{what}: slowest ms", proxy.Name, met.Slowest.TotalMilliseconds, "0");
        if (signal == "STOP") backends[1].Signal("CONT");
        else if (signal == "CUT") Heal();
        else
        {
            backends[1].Dispose();
            backends[1] = StartBackend(1);
        }
        // Until every proxy has found it again.
        await Task.Delay(1500);
    }

    /// <summary>Every packet to and from the second backend vanishes; nobody is told.</summary>
    private void Cut()
    {
        Nft($"add table inet {cutTable}");
        foreach (var (hook, side) in new[] { ("input", "dport"), ("output", "sport") })
        {
            Nft($"add chain inet {cutTable} {hook} {{ type filter hook {hook} priority 0 ; }}");
            Nft($"add rule inet {cutTable} {hook} tcp {side} {Text(ports[1])} drop");
        }
    }

    private void Heal() => Nft($"delete table inet {cutTable}");

    private static void Nft(string command)
    {
        using var process = Process.Start("nft", command.Split(' '));
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"nft {command} ended with {process.ExitCode}");
    }

    private void IdleConnections(Proxy proxy)
    {
        var request = Encoding.ASCII.GetBytes("GET /100 HTTP/1.1\r\nHost: x\r\n\r\n");
        var answer = new byte[4096];
        // HAProxy sets aside two descriptors a connection and does not start when that is more than the machine allows.
        var count = proxy.Name.StartsWith("HAProxy", StringComparison.Ordinal) ? 7_000 : 10_000;
        var before = proxy.Memory();
        var open = new List<Socket>();
        try
        {
            for (var i = 0; i < count; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                open.Add(socket);
                socket.Connect(IPAddress.Loopback, proxy.Port);
                // Each has been used: what a connection keeps after a request counts, not what it has before the first.
                socket.Send(request);
                for (var got = 0; !Ends(answer.AsSpan(0, got)); got += socket.Receive(answer.AsSpan(got))) { }
            }
            table.Add("memory per idle connection: bytes", proxy.Name, (double)(proxy.Memory() - before) / count, "0");
        }
        finally
        {
            foreach (var socket in open) socket.Dispose();
        }
    }

    private Proxy Named(string name) => proxies.Single(proxy => proxy.Name == name);

    private Proxy StartBackend(int number) => new($"backend {number}", OtherCore, ports[number], "nginx", "-e", $"{directory}/{number}.err", "-c",
        Written($"backend{number}.conf", Configurations.Backend(directory, ports[number])));

    private string Written(string name, string text)
    {
        var file = Path.Combine(directory, name);
        File.WriteAllText(file, text);
        return file;
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }

    private static string Size(int bytes) => bytes switch { 100 => "100 B", 10_240 => "10 KB", _ => "1 MB" };
    private static string Text(int number) => number.ToString(CultureInfo.InvariantCulture);
}
