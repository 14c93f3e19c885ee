using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using Evenkeel.Cli.Backup;
using Evenkeel.Raid.Array;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>On a terminal: one line on standard error with the activity, a bar, the rate and the time left. Elsewhere nothing.</summary>
internal sealed class SyncLine(ParseResult parsed)
{
    private const int Bar = 30;
    private readonly bool _shown = ReferenceEquals(parsed.InvocationConfiguration.Error, Console.Error) && !Console.IsErrorRedirected;
    private readonly Stopwatch _since = new();
    private string _activity = "";

    public void Show(string activity, long done, long total)
    {
        if (!_shown || total == 0) return;
        if (activity != _activity)
        {
            _activity = activity;
            _since.Restart();
        }

        var seconds = Math.Max(_since.Elapsed.TotalSeconds, 0.001);
        var filled = (int)(Bar * done / total);
        var left = done == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $", {TimeSpan.FromSeconds(seconds * (total - done) / done):hh\\:mm\\:ss} left");
        parsed.InvocationConfiguration.Error.Write(
            $"\r{activity} [{new string('#', filled)}{new string('.', Bar - filled)}] {Sizes.Of(done)} of {Sizes.Of(total)}, {Sizes.Of((long)(done / seconds))}/s{left}  {(done == total ? "\n" : "")}");
    }

    public IProgress<SyncProgress> For(string activity) => new Adapter(this, activity);

    private sealed class Adapter(SyncLine line, string activity) : IProgress<SyncProgress>
    {
        public void Report(SyncProgress value) => line.Show(activity, value.DoneBytes, value.TotalBytes);
    }
}
