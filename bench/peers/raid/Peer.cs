using System.Diagnostics;
using System.Globalization;

namespace Evenkeel.RaidBench;

/// <summary>A server's process, ours or another's.</summary>
internal sealed class Peer : IAsyncDisposable
{
    private readonly Process _process;

    private Peer(Process process) => _process = process;

    /// <summary>Processor seconds that it has used.</summary>
    public double CpuSeconds
    {
        get
        {
            _process.Refresh();
            return _process.TotalProcessorTime.TotalSeconds;
        }
    }

    public static async Task<Peer> OursAsync(params string[] words)
    {
        var process = Process.Start(new ProcessStartInfo(Environment.ProcessPath!, ["serve", .. words]) { RedirectStandardInput = true, RedirectStandardOutput = true })!;
        if (await process.StandardOutput.ReadLineAsync() != "ready") throw new InvalidOperationException("Our server did not start.");
        return new Peer(process);
    }

    /// <summary>A server that makes a socket's file when it is ready.</summary>
    public static async Task<Peer> OtherAsync(string socket, string program, params string[] words)
    {
        var process = Process.Start(new ProcessStartInfo(program, words))!;
        while (!File.Exists(socket) && !process.HasExited) await Task.Delay(20);
        if (process.HasExited) throw new InvalidOperationException($"{program} did not start.");
        return new Peer(process);
    }

    public async ValueTask DisposeAsync()
    {
        if (_process.StartInfo.RedirectStandardInput) _process.StandardInput.Close();
        else _process.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
    }

    public override string ToString() => _process.Id.ToString(CultureInfo.InvariantCulture);
}
