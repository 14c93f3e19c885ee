using System.ComponentModel;
using System.Diagnostics;

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
    private const int MostText = 1 << 20;

    /// <exception cref="OperationCanceledException">Cancelled; the program has been killed.</exception>
    public static async Task<ToolResult> RunAsync(IReadOnlyList<string> command, ServerUser? user, TimeSpan limit, CancellationToken cancellation)
    {
        var words = user?.Command(command) ?? command;
        var start = new ProcessStartInfo(words[0], words.Skip(1))
        {
            RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true, WorkingDirectory = "/",
        };
        start.Environment["LC_ALL"] = "C";
        foreach (var variable in start.Environment.Keys.Where(name => name.StartsWith("PG", StringComparison.Ordinal)).ToList())
        {
            start.Environment.Remove(variable); // PGHOST and the like are the operator's, not the server's.
        }

        if (user is { Switch: true })
        {
            start.Environment.Remove("HOME"); // libpq looks for ~/.postgresql and ~/.pgpass.
        }

        using var process = new System.Diagnostics.Process { StartInfo = start };
        try
        {
            process.Start();
        }
        catch (Win32Exception failure)
        {
            return new ToolResult(-1, "", $"{words[0]}: {failure.Message}");
        }

        process.StandardInput.Close();
        var output = ReadAsync(process.StandardOutput);
        var error = ReadAsync(process.StandardError);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limit);
        try
        {
            await process.WaitForExitAsync(deadline.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(5), CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellation.ThrowIfCancellationRequested();
            return new ToolResult(-1, "", $"{Path.GetFileName(command[0])} took longer than {limit.TotalSeconds:0} s");
        }

        return new ToolResult(process.ExitCode, await output.ConfigureAwait(false), await error.ConfigureAwait(false));
    }

    // Read to the end, so that it never waits for us, but kept only as far as a person would read.
    private static async Task<string> ReadAsync(StreamReader reader)
    {
        var text = new System.Text.StringBuilder();
        var block = new char[4096];
        for (var count = await reader.ReadAsync(block).ConfigureAwait(false); count > 0; count = await reader.ReadAsync(block).ConfigureAwait(false))
        {
            text.Append(block, 0, Math.Min(count, Math.Max(0, MostText - text.Length)));
        }

        return text.ToString();
    }
}
