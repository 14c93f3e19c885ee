using System.ComponentModel;
using System.Diagnostics;
using Evenkeel.Services.Process;

namespace Evenkeel.Services.PostgreSql;

/// <param name="Code">Its exit code; negative when it could not be started or took too long.</param>
internal sealed record ToolResult(int Code, string Output, string Error)
{
    /// <summary>The last thing that it complained of, for a person.</summary>
    public string Complaint => (Error.Length > 0 ? Error : Output).Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
        .LastOrDefault(line => !line.Contains("hint:", StringComparison.OrdinalIgnoreCase)) ?? $"ended with exit code {Code}";
}

/// <summary>Runs one of PostgreSQL's programs as the server's user, with a deadline after which its whole tree is killed.</summary>
internal static class Tool
{
    /// <exception cref="OperationCanceledException">Cancelled; the program has been killed.</exception>
    public static async Task<ToolResult> RunAsync(IReadOnlyList<string> command, ServerUser? user, TimeSpan limit, CancellationToken cancellation)
    {
        var words = user?.Command(command) ?? command;
        var start = new ProcessStartInfo(words[0], words.Skip(1)) { WorkingDirectory = "/" };
        start.Environment["LC_ALL"] = "C";
        foreach (var variable in start.Environment.Keys.Where(name => name.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(variable); // PGHOST and the like are the operator's, not the server's.
        }

        if (user is { Switch: true })
        {
            start.Environment.Remove("HOME"); // libpq looks for ~/.postgresql and ~/.pgpass.
        }

        try
        {
            var end = await ChildRun.RunAsync(start, limit, cancellation).ConfigureAwait(false);
            return end.ExitCode is { } code ? new ToolResult(code, end.Output, end.Errors)
                : new ToolResult(-1, "", $"{Path.GetFileName(command[0])} took longer than {limit.TotalSeconds:0} s");
        }
        catch (Win32Exception failure)
        {
            return new ToolResult(-1, "", $"{words[0]}: {failure.Message}");
        }
    }
}
