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
