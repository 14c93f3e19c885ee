using System.CommandLine;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Policy;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup accept</c>: ends an anomaly's alarm.</summary>
internal static class AcceptCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var snapshot = SnapshotArgument.Create();
        var command = new DescribedCommand("accept", "Says that a snapshot that raised an alarm is in order.", """
            Until then 'forget' keeps everything that is older: it may be the last good state. The snapshot is written anew with a
            tag, so in an append-only repository this needs the maintenance password.
            """)
        { snapshot };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var found = await SnapshotArgument.FindAsync(opened, parsed.GetRequiredValue(snapshot), cancellation).ConfigureAwait(false);
            if (found.Tags?.Contains(AnomalyAlarm.AcceptedTag) != true)
            {
                // First the new one: a crash between leaves both, and an alarm that stands.
                var accepted = await opened.SaveSnapshotAsync(
                    found with { Tags = [.. found.Tags ?? [], AnomalyAlarm.AcceptedTag], Original = found.Original ?? found.Id.ToString() }, cancellation).ConfigureAwait(false);
                await opened.Backend.DeleteAsync(FileKind.Snapshot, found.Id.ToString(), cancellation).ConfigureAwait(false);
                await parsed.InvocationConfiguration.Output.WriteLineAsync($"Accepted {found.Id.Brief}; it is now {accepted.Id.Brief}.").ConfigureAwait(false);
            }
            return ExitCode.Success;
        }, exclusive: true));
        return command;
    }
}
