using System.CommandLine;
using System.Text.Json;
using Evenkeel.Agent.Host.Backups;
using Evenkeel.Backup;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup job</c>: one task of a cluster's backup job, for the agent that starts it.</summary>
internal static class JobCommand
{
    private const int LongestOrder = 1 << 20;

    public static Command Create()
    {
        var command = new DescribedCommand("job", "Does one task of a cluster's backup job; the agent starts it.", """
            The order is one line of JSON on standard input, which stays open: when it ends or falls silent, so does the run. The last line of
            standard output is the result, as JSON.
            """)
        { Hidden = true };
        command.SetAction(async (parsed, cancellation) =>
        {
            // Not Console.In, whose asynchronous reads block.
            using var input = new StreamReader(Console.OpenStandardInput());
            var line = await input.ReadLineAsync(cancellation).ConfigureAwait(false);
            if (line is not { Length: > 0 and < LongestOrder } || Read(line) is not { } order)
            {
                throw new CommandFailedException(ExitCode.Usage, "there is no order on standard input", "The agent starts this command; to back up by hand: evenkeel backup run");
            }
            using var leash = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            _ = Task.Run(() => Leash.FollowAsync(input, leash), CancellationToken.None);
            var answer = await TryAsync(order, leash.Token).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync(JsonSerializer.Serialize(answer, BackupOrderJson.Default.BackupAnswer)).ConfigureAwait(false);
            return answer.Good ? ExitCode.Success : ExitCode.Failed;
        });
        return command;
    }

    private static BackupOrder? Read(string line)
    {
        try
        {
            return JsonSerializer.Deserialize(line, BackupOrderJson.Default.BackupOrder);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static async Task<BackupAnswer> TryAsync(BackupOrder order, CancellationToken cancellation)
    {
        try
        {
            return await new JobRun(order).RunAsync(cancellation).ConfigureAwait(false);
        }
        catch (RepositoryException e)
        {
            return new BackupAnswer(false, e.Message + (Outcome.Advice(e.Error) is { } advice ? $" {advice}" : ""));
        }
        catch (CommandFailedException e)
        {
            return new BackupAnswer(false, e.Mend is { } mend ? $"{e.Message}. {mend}" : e.Message);
        }
        catch (OperationCanceledException)
        {
            return new BackupAnswer(false, "it was ended before it was done");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or FormatException)
        {
            return new BackupAnswer(false, e.Message);
        }
    }
}
