using System.Globalization;

namespace Evenkeel.Guard.Loop;

/// <summary>The few lines that a guard writes: what it did to somebody, and what it lacks. Standard error is its log file.</summary>
internal static class GuardLog
{
    public static void Write(string text) =>
        Console.Error.WriteLine($"{DateTime.UtcNow.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)} guard {Environment.ProcessId} {text}");
}
