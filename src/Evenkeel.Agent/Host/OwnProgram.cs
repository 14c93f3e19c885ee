namespace Evenkeel.Agent.Host;

/// <summary>This program, to be started again for another purpose.</summary>
public static class OwnProgram
{
    /// <summary>As it was started: itself, or <c>dotnet</c> with its file.</summary>
    public static IReadOnlyList<string> Command
    {
        get
        {
            var process = Environment.ProcessPath ?? "evenkeel";
            return Path.GetFileNameWithoutExtension(process) == "dotnet" ? [process, Path.Combine(AppContext.BaseDirectory, "evenkeel.dll")] : [process];
        }
    }

    /// <summary>For a shell.</summary>
    public static string Quoted => string.Join(' ', Command.Select(word => "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'"));
}
