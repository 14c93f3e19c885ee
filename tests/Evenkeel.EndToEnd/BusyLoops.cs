using System.Diagnostics;

namespace Evenkeel.EndToEnd;

/// <summary>Processes that want all of the processor, until disposed.</summary>
/// <param name="niceness">-20 (most urgent) to 19, counted from the test's own; agents run with -5.</param>
internal sealed class BusyLoops(int count, int niceness = 0) : IDisposable
{
    private readonly List<Process> loops = [.. Enumerable.Range(0, count).Select(_ => Process.Start("nice", ["-n", $"{niceness}", "sh", "-c", "while :; do :; done"]))];

    public void Dispose()
    {
        foreach (var loop in loops)
        {
            loop.Kill();
            loop.Dispose();
        }
    }
}
