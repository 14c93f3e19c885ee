using System.CommandLine;
using System.Globalization;
using Evenkeel.Backup.Evidence;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup list</c>: the catalogue.</summary>
internal static class ListCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var output = Options.Output();
        var command = new Command("list", "Lists snapshots, oldest first: type, what it builds on, sizes, duration.") { output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var console = parsed.InvocationConfiguration;
            var problems = new List<Evenkeel.Backup.RepositoryException>();
            var snapshots = await opened.LoadSnapshotsAsync(cancellation, problems).ConfigureAwait(false);
            var evidence = EvidenceLog.Open().Read(opened.Config.Id);
            if (parsed.GetValue(output) == OutputFormat.Json)
            {
                await console.Output.WriteLineAsync(BackupJson.Text<IReadOnlyList<SnapshotView>>(
                    [.. snapshots.Select(s => SnapshotView.Of(s) with { Proven = Proven(s, evidence) })])).ConfigureAwait(false);
            }
            else
            {
                await console.Output.WriteLineAsync("ID        TIME (UTC)        TYPE          ON        READ        STORED      TOOK     PROVEN               HOST  PATHS").ConfigureAwait(false);
                foreach (var snapshot in snapshots)
                {
                    await console.Output.WriteLineAsync(Line(snapshot, evidence)).ConfigureAwait(false);
                }
            }
            foreach (var problem in problems)
            {
                await console.Error.WriteLineAsync("evenkeel: " + problem.Message).ConfigureAwait(false);
            }
            return problems.Count == 0 ? ExitCode.Success : ExitCode.Failed;
        }, exclusive: null));
        return command;
    }

    private static string Line(Snapshot s, IReadOnlyList<EvidenceRecord> evidence) => string.Create(CultureInfo.InvariantCulture,
        $"{s.Id.Brief}  {s.When:yyyy-MM-dd HH:mm}  {BackupTags.Of(BackupTags.TypeOf(s)),-12}  {s.Parent?[..8] ?? "-",-8}  {Size(s.Summary?.BytesRead ?? s.Summary?.TotalBytes),-10}  {Size(s.Summary?.DataAddedPacked),-10}  {Took(s),-7}  {Proven(s, evidence) ?? "-",-19}  {s.Hostname}  {string.Join(' ', s.Paths)}");

    /// <summary>The strongest of what is known: a restore test of the snapshot, else the last verification since it was made.</summary>
    private static string? Proven(Snapshot s, IReadOnlyList<EvidenceRecord> evidence)
    {
        var last = evidence.LastOrDefault(e => e.Snapshot == s.Id.ToString()) ?? evidence.LastOrDefault(e => e.Snapshot is null && e.At >= s.When);
        return last is null ? null : string.Create(CultureInfo.InvariantCulture,
            $"{(!last.Passed ? "FAILED" : last.Kind == "verify" ? $"{last.Share:P0} read" : "restored")} {last.At:yyyy-MM-dd}");
    }

    private static string Size(long? bytes) => bytes is { } known ? Sizes.Of(known) : "?";

    private static string Took(Snapshot s) =>
        s.Summary is { } summary && Timestamp.TryParse(summary.Start, out var start) && Timestamp.TryParse(summary.End, out var end)
            ? (end.ToDateTimeOffset() - start.ToDateTimeOffset()).ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture) : "?";
}
