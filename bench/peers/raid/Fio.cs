using System.Diagnostics;
using System.Text.Json;

namespace Evenkeel.RaidBench;

/// <summary>Debian's fio as the load.</summary>
internal static class Fio
{
    /// <summary>Requests a second.</summary>
    public static Task<double> NbdAsync(string uri, string pattern, string block, int depth, double seconds, params string[] more) =>
        RunAsync(["--ioengine=nbd", $"--uri={uri}", $"--rw={pattern}", $"--bs={block}", $"--iodepth={depth}", $"--runtime={seconds}", "--time_based", .. more]);

    public static async Task<double> RunAsync(string[] words)
    {
        using var process = Process.Start(new ProcessStartInfo("fio", ["--name=bench", "--output-format=json", "--randrepeat=0", "--norandommap=1", .. words]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var said = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        var text = await said;
        if (process.ExitCode != 0) throw new InvalidOperationException($"fio: {await error}{text}");
        using var json = JsonDocument.Parse(text[text.IndexOf('{', StringComparison.Ordinal)..]);
        var job = json.RootElement.GetProperty("jobs")[0];
        return job.GetProperty("read").GetProperty("iops").GetDouble() + job.GetProperty("write").GetProperty("iops").GetDouble();
    }
}
