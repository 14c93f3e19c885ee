namespace Evenkeel.Cli;

/// <summary>An expected failure of a command: ends it with one or two plain lines on standard error and an exit code.</summary>
/// <param name="exitCode">One of <see cref="ExitCode"/>.</param>
/// <param name="message">What went wrong, one sentence.</param>
/// <param name="mend">What to do now; null when there is nothing to do.</param>
public class CommandFailedException(int exitCode, string message, string? mend = null) : Exception(message)
{
    public int ExitCode { get; } = exitCode;
    public string? Mend { get; } = mend;
}

/// <summary>The agent was gone before it had answered: whether it did what was asked is not known.</summary>
public sealed class ConnectionLostException(string message, string mend) : CommandFailedException(Cli.ExitCode.Failed, message, mend);
