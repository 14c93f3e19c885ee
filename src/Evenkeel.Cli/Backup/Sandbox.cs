using System.Diagnostics;
using System.Globalization;

namespace Evenkeel.Cli.Backup;

/// <summary>
/// Starts a restored thing and asks it something, in process and network namespaces of its own: it reaches no production service,
/// takes no port, and nothing of it outlives the test.
/// </summary>
internal sealed class Sandbox(string directory, string? start, string query, TimeSpan timeout)
{
    // The query is tried until it works; a start command that ends in failure will never answer.
    private const string Script = """
        ip link set lo up
        if [ -n "$EVENKEEL_START" ]; then
            /bin/sh -c "$EVENKEEL_START" 1>&2 & started=$!
        fi
        until /bin/sh -c "$EVENKEEL_QUERY"; do
            [ -n "$EVENKEEL_START" ] || exit 98
            if ! kill -0 $started 2>/dev/null; then wait $started || exit 97; fi
            sleep 0.2
        done
        """;

    /// <summary>The query's last output, and null or why the test failed.</summary>
    public async Task<(string Output, string? Failure)> RunAsync(CancellationToken cancellation)
    {
        string[] user = Environment.UserName == "root" ? [] : ["--user", "--map-root-user"];
        var info = new ProcessStartInfo("unshare", [.. user, "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "/bin/sh", "-c", Script])
        {
            WorkingDirectory = directory,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        info.Environment["EVENKEEL_START"] = start ?? "";
        info.Environment["EVENKEEL_QUERY"] = query;
        info.Environment["EVENKEEL_RESTORED"] = directory;
        using var process = Process.Start(info)!;
        var output = process.StandardOutput.ReadToEndAsync(cancellation);
        var error = process.StandardError.ReadToEndAsync(cancellation);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(timeout);
        try
        {
            await process.WaitForExitAsync(limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            process.Kill();
            cancellation.ThrowIfCancellationRequested();
            return ("", string.Create(CultureInfo.InvariantCulture, $"the query did not succeed within {timeout.TotalSeconds:0} s"));
        }
        var said = (await error.ConfigureAwait(false)).Trim();
        return (await output.ConfigureAwait(false), process.ExitCode switch
        {
            0 => null,
            97 => $"the start command failed: {said}",
            98 => $"the query failed: {said}",
            var code => $"the sandbox ended with {code}: {said}",
        });
    }
}
