using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace Evenkeel.BalancerBench;

/// <summary>A process that is pinned to one core, with what it costs.</summary>
internal sealed class Proxy : IDisposable
{
    private const int TicksPerSecond = 100;
    private readonly Process process;

    /// <summary>Listens when this returns.</summary>
    public Proxy(string name, int core, int port, params string[] command)
    {
        (Name, Port) = (name, port);
        process = Process.Start(new ProcessStartInfo("taskset", ["-c", core.ToString(CultureInfo.InvariantCulture), .. command]))!;
        for (var waited = Stopwatch.StartNew(); ; Thread.Sleep(10))
        {
            if (process.HasExited || waited.Elapsed > TimeSpan.FromSeconds(20))
            {
                Dispose();
                throw new InvalidOperationException($"{name} does not listen at port {port}");
            }
            using var probe = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                probe.Connect(IPAddress.Loopback, port);
                return;
            }
            catch (SocketException) { }
        }
    }

    public string Name { get; }
    public int Port { get; }
    public int Id => process.Id;

    /// <summary>Processor time so far, user and system, in seconds (taskset becomes the program, so the process is the program's).</summary>
    public double Cpu()
    {
        var stat = File.ReadAllText($"/proc/{process.Id}/stat");
        var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return (double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
    }

    /// <summary>Resident memory in bytes, what it shares with files left out.</summary>
    public long Memory() =>
        File.ReadLines($"/proc/{process.Id}/status").Where(line => line.StartsWith("RssAnon:", StringComparison.Ordinal))
            .Select(line => long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024).Single();

    public void Signal(string name) => Process.Start("kill", ["-" + name, process.Id.ToString(CultureInfo.InvariantCulture)])!.WaitForExit();

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
