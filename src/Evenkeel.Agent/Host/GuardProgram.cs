namespace Evenkeel.Agent.Host;

/// <summary>Where this installation keeps the guard: compiled ahead of time if possible, else run by <c>dotnet</c>.</summary>
internal static class GuardProgram
{
    /// <summary>As <see cref="Find"/>; where there is none, its name alone: who starts it then says that it is missing.</summary>
    public static IReadOnlyList<string> FindOrName()
    {
        try
        {
            return Find();
        }
        catch (InvalidOperationException)
        {
            return ["evenkeel-guard"];
        }
    }

    /// <summary>Where a service manager has a unit for the guard: the command that starts it (<c>EVENKEEL_GUARD_START</c>, set by the agent's own unit); else null.</summary>
    public static IReadOnlyList<string>? StartedBy() =>
        Environment.GetEnvironmentVariable("EVENKEEL_GUARD_START")?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is { Length: > 0 } command ? command : null;

    public const string Outdated = "the guard still runs the program of before an upgrade (evenkeel guard restart, when it suits)";

    /// <summary>The file that the process was started from has been replaced since, as a package's upgrade does it.</summary>
    /// <param name="process">0 when it is not known.</param>
    public static bool IsReplaced(int process)
    {
        try
        {
            return process > 0 && new FileInfo($"/proc/{process}/exe").LinkTarget?.EndsWith(" (deleted)", StringComparison.Ordinal) == true;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    /// <exception cref="InvalidOperationException">There is none beside the agent.</exception>
    public static IReadOnlyList<string> Find()
    {
        var here = AppContext.BaseDirectory;
        if (Environment.GetEnvironmentVariable("EVENKEEL_GUARD") is { Length: > 0 } given)
        {
            return [given];
        }

        foreach (var candidate in new[] { Path.Combine(here, "guard", "evenkeel-guard"), Path.Combine(here, "evenkeel-guard") })
        {
            if (File.Exists(candidate))
            {
                return [candidate];
            }
        }

        throw new InvalidOperationException($"the guard's program (evenkeel-guard) is not in {here}; build or install it again");
    }
}
