using Microsoft.Extensions.Logging;

namespace Evenkeel.Agent.Host.Logging;

/// <summary>
/// A part of the agent's log with a level of its own, which may change while it runs. Asking whether a level is on is one read:
/// what is not wanted costs nothing, so that even the decision loop may be asked to tell everything.
/// </summary>
internal sealed class LogCategory(string name, string about, Action<string> write, Func<string, bool> writeLater)
{
    public const LogLevel Standard = LogLevel.Information;
    // A record that holds the whole state is not worth a line of a megabyte.
    private const int LongestLine = 600;
    private volatile int _level = (int)Standard;

    public string Name => name;
    /// <summary>What is told in it, for people.</summary>
    public string About => about;

    public LogLevel Level
    {
        get => (LogLevel)_level;
        set => _level = (int)value;
    }

    public bool IsOn(LogLevel level) => (int)level >= _level;

    /// <summary>As it is, whatever the level.</summary>
    public void Write(string line) => write(line);

    /// <summary>For the parts that know of no levels: what they say is worth knowing.</summary>
    public void Tell(string words) => Tell(LogLevel.Information, words);

    public void Tell(LogLevel level, string words)
    {
        if (!IsOn(level))
        {
            return;
        }

        var line = level == LogLevel.Information ? words : $"{name} {level.ToString().ToLowerInvariant()}: {words}";
        // A slow disk or terminal must not hold up whoever tells so much.
        if (level < LogLevel.Information)
        {
            writeLater(line.Length > LongestLine ? line[..LongestLine] + "…" : line);
        }
        else
        {
            write(line);
        }
    }
}
