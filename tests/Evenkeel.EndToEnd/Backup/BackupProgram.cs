namespace Evenkeel.EndToEnd.Backup;

/// <summary>The real program, as its own process.</summary>
internal static class BackupProgram
{
    public static string Path => System.IO.Path.Combine(AppContext.BaseDirectory, "evenkeel");

    public static (int Code, string Output, string Error) TryEvenkeel(this Workplace place, string command, params string[] arguments) =>
        place.TryRun(Path, ["backup", command, .. arguments, "--repository", place.Repository]);

    public static string Evenkeel(this Workplace place, string command, params string[] arguments)
    {
        var (code, output, error) = place.TryEvenkeel(command, arguments);
        return code == 0 ? output : throw new InvalidOperationException($"evenkeel backup {command} ended with {code}:\n{output}\n{error}");
    }
}
