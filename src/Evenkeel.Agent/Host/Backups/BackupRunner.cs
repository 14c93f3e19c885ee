using System.Collections.Concurrent;
using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Evenkeel.Agent.Configuration;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Services.PostgreSql;

namespace Evenkeel.Agent.Host.Backups;

/// <summary>
/// Does the loop's backup orders, each in a process of its own with the lowest priority. Its standard input is the leash: when it
/// ends or falls silent (the run is to stop, this agent is gone or stands still) the program stops by itself; one that does not is killed.
/// </summary>
internal sealed class BackupRunner(AgentConfiguration configuration, IReadOnlyList<string> program, Action<AgentEvent> post, Action<string> log, CancellationToken stopping)
{
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);
    private const int LongestComplaint = 1000;
    private readonly ConcurrentDictionary<(string Job, long Number), (CancellationTokenSource Stop, string[] Why)> _running = new();

    /// <summary>Begins a run and returns; its end is posted.</summary>
    public void Run(RunBackup run)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(stopping);
        stop.CancelAfter(run.Spec.TimeLimit);
        string[] why = ["it took longer than its time limit"];
        _running[(run.Job, run.Number)] = (stop, why);
        _ = RunAsync(run, stop, why);
    }

    public void Stop(StopBackup order)
    {
        if (_running.TryGetValue((order.Job, order.Number), out var found))
        {
            found.Why[0] = order.Why;
            found.Stop.Cancel();
        }
    }

    private async Task RunAsync(RunBackup run, CancellationTokenSource stop, string[] why)
    {
        await Task.Yield();
        var clock = Stopwatch.StartNew();
        BackupAnswer answer;
        try
        {
            answer = await AskAsync(OrderOf(run), (run.Service?.Driver as PostgreSqlDriverSpec)?.User, stop.Token).ConfigureAwait(false);
            if (stop.IsCancellationRequested)
            {
                answer = new BackupAnswer(false, stopping.IsCancellationRequested ? "the agent stopped meanwhile" : why[0]);
            }
        }
        catch (Exception exception) when (exception is Win32Exception or IOException or InvalidOperationException)
        {
            answer = new BackupAnswer(false, exception.Message);
        }

        _running.TryRemove((run.Job, run.Number), out _);
        stop.Dispose();
        log($"backup {run.Job}, {run.Task.ToString().ToLowerInvariant()}: {(answer.Good ? "" : "FAILED: ")}{answer.Words}");
        post(new BackupEnded(run.Job, run.Number, new BackupResult(run.Task, configuration.Node, DateTimeOffset.UtcNow.ToUnixTimeSeconds(), answer.Good, answer.Words)
        {
            Snapshot = answer.Snapshot,
            Seconds = Math.Round(clock.Elapsed.TotalSeconds, 1),
            Files = answer.Files,
            BytesRead = answer.BytesRead,
            BytesStored = answer.BytesStored,
            Warnings = answer.Warnings,
        }));
    }

    private BackupOrder OrderOf(RunBackup run)
    {
        string Fill(string text) => text.Replace("{node}", configuration.Node.Value, StringComparison.Ordinal);
        var postgresql = run.Service?.Driver as PostgreSqlDriverSpec;
        return new BackupOrder(run.Spec with { Paths = [.. run.Spec.Paths.Select(Fill)] }, run.Task, configuration.Cluster, configuration.Node,
            run.Service is null ? $"{configuration.Cluster}.{configuration.Node}" : BackupReader.ServerName(configuration.Cluster, run.Service.Name),
            configuration.StateDirectory, postgresql is null ? null
                : $"host='{SocketDirectory.Of(Path.TrimEndingDirectorySeparator(Fill(postgresql.Data)))}' port={postgresql.Port ?? PostgreSqlDriver.StandardPort} user=postgres dbname=postgres");
    }

    /// <param name="user">Of PostgreSQL, who owns its files and also archives its log: a directory's files are written 0400, and each must read the other's.</param>
    private async Task<BackupAnswer> AskAsync(BackupOrder order, string? user, CancellationToken stop)
    {
        string[] own = user is not null && Environment.IsPrivilegedProcess ? ["runuser", "-u", user, "--"] : [];
        // Whatever this agent's own priority is: a backup takes what is left of the processor and the disk.
        var start = new ProcessStartInfo("nice", ["-n", "39", "ionice", "-c", "3", .. own, .. program, "backup", "job"])
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = "/",
            Environment = { ["EVENKEEL_BACKUP_STATE"] = Path.Combine(configuration.StateDirectory, "backup") },
        };
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program[0]} did not start");
        GoFirst(process);
        var error = process.StandardError.ReadToEndAsync(CancellationToken.None);
        var output = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        await process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(order, BackupOrderJson.Default.BackupOrder)).ConfigureAwait(false);
        await process.StandardInput.FlushAsync(CancellationToken.None).ConfigureAwait(false);
        await Leash.HoldAsync(process, stop).ConfigureAwait(false);
        if (!process.HasExited)
        {
            using var grace = new CancellationTokenSource(Grace);
            await process.WaitForExitAsync(grace.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (!process.HasExited)
            {
                process.Kill(entireProcessTree: true);
                await process.WaitForExitAsync(CancellationToken.None).ConfigureAwait(false);
            }
        }

        return Read(await output.ConfigureAwait(false)) ?? new BackupAnswer(false, Complaint(await error.ConfigureAwait(false), process.ExitCode));
    }

    /// <summary>It is the first that the kernel ends when memory is short.</summary>
    private static void GoFirst(Process process)
    {
        try
        {
            File.WriteAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process.Id}/oom_score_adj"), "500");
        }
        catch (IOException)
        {
            // It ended already.
        }
        catch (UnauthorizedAccessException)
        {
            // Only the order in which the kernel would choose is less good.
        }
    }

    private static BackupAnswer? Read(string output)
    {
        var line = output.TrimEnd().Split('\n')[^1];
        try
        {
            return line.StartsWith('{') ? JsonSerializer.Deserialize(line, BackupOrderJson.Default.BackupAnswer) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static string Complaint(string error, int code)
    {
        var words = error.Trim();
        return words.Length == 0 ? $"it ended with {code} and said nothing" : words.Length > LongestComplaint ? words[^LongestComplaint..] : words;
    }
}
