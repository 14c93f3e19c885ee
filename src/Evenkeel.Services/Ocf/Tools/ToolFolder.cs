namespace Evenkeel.Services.Ocf.Tools;

/// <summary>
/// The directory that agents have as HA_SBIN_DIR and first on PATH: one two-line script a tool, each of which becomes the guard's
/// binary in its mode <c>tool</c>. (Scripts, not links: a program that is run by <c>dotnet</c> does not see a link's name.)
/// </summary>
internal static class ToolFolder
{
    private const UnixFileMode Executable = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute
        | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    public static void Write(string directory, IReadOnlyList<string> guard)
    {
        Directory.CreateDirectory(directory);
        var command = string.Join(' ', guard.Select(Quote));
        foreach (var tool in ToolDesk.Names)
        {
            var path = Path.Combine(directory, tool);
            File.WriteAllText(path + ".new", $"#!/bin/sh\nexec {command} tool {tool} \"$@\"\n");
            File.SetUnixFileMode(path + ".new", Executable);
            File.Move(path + ".new", path, overwrite: true); // Agents may be calling it.
        }
    }

    private static string Quote(string word) => "'" + word.Replace("'", "'\\''", StringComparison.Ordinal) + "'";
}
