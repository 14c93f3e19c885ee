using System.ComponentModel;
using System.Diagnostics;
using System.Text;

namespace Evenkeel.Services.Process;

/// <param name="ExitCode">Null when it was killed because it took too long.</param>
internal sealed record ChildEnd(int? ExitCode, string Output, string Errors);

/// <summary>Runs a tool to its end and keeps what it says, with a deadline after which its whole tree is killed.</summary>
internal static class ChildRun
{
    private const int MostText = 1 << 20;
    private static readonly TimeSpan KillPatience = TimeSpan.FromSeconds(5);

    /// <param name="start">Its standard streams are redirected here.</param>
    /// <param name="input">Written to its standard input, which is closed then.</param>
    /// <returns>Of each stream the first mebibyte of characters.</returns>
    /// <exception cref="Win32Exception">It could not be started.</exception>
    /// <exception cref="OperationCanceledException">Cancelled; it has been killed.</exception>
    public static async Task<ChildEnd> RunAsync(ProcessStartInfo start, TimeSpan limit, CancellationToken cancellation, string input = "")
    {
        start.RedirectStandardInput = start.RedirectStandardOutput = start.RedirectStandardError = true;
        using var process = System.Diagnostics.Process.Start(start)!;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        deadline.CancelAfter(limit);
        var (output, errors) = (ReadAsync(process.StandardOutput, deadline.Token), ReadAsync(process.StandardError, deadline.Token));
        try
        {
            await GiveAsync(process.StandardInput, input, deadline.Token).ConfigureAwait(false);
            await process.WaitForExitAsync(deadline.Token).ConfigureAwait(false);
            return new ChildEnd(process.ExitCode, await output.ConfigureAwait(false), await errors.ConfigureAwait(false));
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None).WaitAsync(KillPatience, CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            await ((Task)Task.WhenAll(output, errors)).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellation.ThrowIfCancellationRequested();
            return new ChildEnd(null, "", "");
        }
    }

    private static async Task GiveAsync(StreamWriter to, string input, CancellationToken cancellation)
    {
        try
        {
            await to.WriteAsync(input.AsMemory(), cancellation).ConfigureAwait(false);
            to.Close();
        }
        catch (IOException)
        {
            // It ended without reading: its exit code and its words say why.
        }
    }

    // Read to the end, so that it never waits for us, but kept only as far as a person would read.
    private static async Task<string> ReadAsync(StreamReader reader, CancellationToken cancellation)
    {
        var text = new StringBuilder();
        var block = new char[4096];
        for (var count = await reader.ReadAsync(block, cancellation).ConfigureAwait(false); count > 0; count = await reader.ReadAsync(block, cancellation).ConfigureAwait(false))
        {
            text.Append(block, 0, Math.Min(count, Math.Max(0, MostText - text.Length)));
        }

        return text.ToString();
    }
}
