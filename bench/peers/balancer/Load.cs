using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;

namespace Evenkeel.BalancerBench;

/// <summary>What wrk saw.</summary>
internal sealed partial record Load(long Requests, long Failed, TimeSpan Slowest)
{
    /// <summary>64 connections from one thread on the given core for so many seconds.</summary>
    public static async Task<Load> RunAsync(int core, int port, string path, int seconds, bool newConnections)
    {
        string[] header = newConnections ? ["-H", "Connection: close"] : [];
        using var wrk = Process.Start(new ProcessStartInfo("taskset",
            ["-c", core.ToString(CultureInfo.InvariantCulture), "wrk", "-t1", "-c64", $"-d{seconds}s", "--timeout", "10s", "--latency", .. header, $"http://127.0.0.1:{port}{path}"])
            { RedirectStandardOutput = true })!;
        var said = await wrk.StandardOutput.ReadToEndAsync();
        await wrk.WaitForExitAsync();
        var requests = Number(Requested().Match(said).Groups[1].Value);
        var broken = Errors().Match(said);
        var failed = broken.Success ? Enumerable.Range(1, 4).Sum(group => Number(broken.Groups[group].Value)) : 0;
        if (Refused().Match(said) is { Success: true } refused) failed += Number(refused.Groups[1].Value);
        var slowest = Latency().Match(said);
        var unit = slowest.Groups[2].Value switch { "us" => 1e-6, "ms" => 1e-3, "s" => 1, _ => 60 };
        return new(requests, failed, TimeSpan.FromSeconds(double.Parse(slowest.Groups[1].Value, CultureInfo.InvariantCulture) * unit));
    }

    private static long Number(string text) => long.Parse(text, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"(\d+) requests in")]
    private static partial Regex Requested();
    [GeneratedRegex(@"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)")]
    private static partial Regex Errors();
    [GeneratedRegex(@"Non-2xx or 3xx responses: (\d+)")]
    private static partial Regex Refused();
    // The third column of the line of thread statistics is the greatest.
    [GeneratedRegex(@"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)\s")]
    private static partial Regex Latency();
}
