using System.Text.Json;

namespace Evenkeel.Agent.Host;

/// <summary>
/// Reads in etcd's own log whom it has turned away, so that they are named where the others are. What it wrote before is passed over.
/// Who has read it also keeps it small: nothing is cut that was not looked at.
/// </summary>
internal sealed class EtcdRefusals(string logFile, Action<string?, string> refused, long maximumBytes = EtcdLog.MaximumBytes)
{
    private const int MostBytes = 1 << 20;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private long _at = -1;
    private string _rest = "";

    public async Task RunAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Period);
        try
        {
            do
            {
                Look();
            }
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    internal void Look()
    {
        try
        {
            if (!File.Exists(logFile))
            {
                _at = 0;
                return;
            }

            Read();
            if (EtcdLog.Trim(logFile, maximumBytes))
            {
                (_at, _rest) = (0, "");
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // Looked at again in a second.
        }
    }

    private void Read()
    {
        using var log = new FileStream(logFile, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        if (_at < 0 || _at > log.Length || log.Length - _at > MostBytes)
        {
            // The first look, a file that was begun anew, or more than anybody would read.
            (_at, _rest) = (_at < 0 ? log.Length : Math.Max(0, log.Length - MostBytes), "");
        }

        log.Position = _at;
        using var reader = new StreamReader(log);
        var text = _rest + reader.ReadToEnd();
        _at = log.Position;
        var lines = text.Split('\n');
        _rest = lines[^1];
        foreach (var line in lines[..^1])
        {
            Take(line);
        }
    }

    // embed/config_logging.go: {"msg":"rejected connection","remote-addr":"10.77.0.12:4711","error":"tls: …"}; 'EOF' is who hung up.
    private void Take(string line)
    {
        if (!line.Contains("\"rejected connection\"", StringComparison.Ordinal))
        {
            return;
        }

        try
        {
            using var entry = JsonDocument.Parse(line);
            var error = entry.RootElement.GetProperty("error").GetString() ?? "";
            if (error.Contains("certificate", StringComparison.Ordinal))
            {
                refused(entry.RootElement.GetProperty("remote-addr").GetString(), error);
            }
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidOperationException)
        {
            // A line of another version's.
        }
    }
}
