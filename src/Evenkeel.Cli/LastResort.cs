using Evenkeel.Agent;

namespace Evenkeel.Cli;

/// <summary>Turns what a command throws into plain lines and an exit code. Users never see a stack trace.</summary>
internal static class LastResort
{
    public static int Guard(TextWriter error, Func<int> run)
    {
        try
        {
            return run();
        }
        catch (CommandFailedException failure)
        {
            error.WriteLine("evenkeel: " + failure.Message);
            if (failure.Mend is not null)
                error.WriteLine("          " + failure.Mend);
            return failure.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        // The reader of a pipe (head, less) has gone: no error of ours.
        catch (IOException exception) when (exception.Message.Contains("Broken pipe", StringComparison.Ordinal))
        {
            return ExitCode.Success;
        }
        catch (Exception exception)
        {
            error.WriteLine($"evenkeel: unexpected failure: {exception.Message.ReplaceLineEndings(" ")} ({Keep(exception)})");
            return ExitCode.Failed;
        }
    }

    private static string Keep(Exception exception)
    {
        try
        {
            var path = Path.Combine(Path.GetTempPath(), $"evenkeel-failure-{Environment.ProcessId}.txt");
            using var file = new FileStream(path, FileMode.CreateNew);
            using var writer = new StreamWriter(file);
            writer.WriteLine($"evenkeel {ProgramVersion.Current}, {Environment.OSVersion}, {Environment.CommandLine}");
            writer.WriteLine(exception);
            return $"details in {path}; please report them";
        }
        catch (Exception unwritable) when (unwritable is IOException or UnauthorizedAccessException)
        {
            return $"{exception.GetType().Name}; the details could not be written: {unwritable.Message}";
        }
    }
}
