namespace Evenkeel.Cli;

/// <summary>An expected failure of a command: ends it with one or two plain lines on standard error and an exit code.</summary>
/// <param name="exitCode">One of <see cref="ExitCode"/>.</param>
/// <param name="message">What went wrong, one sentence.</param>
/// <param name="mend">What to do now; null when there is nothing to do.</param>
public sealed class CommandFailedException(int exitCode, string message, string? mend = null) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
    public string? Mend { get; } = mend;
}
