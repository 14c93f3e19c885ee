using System.CommandLine;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup init</c>.</summary>
internal static class InitCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var version = new Option<int>("--format") { Description = "restic's format version: 2 compresses, 1 is read by restic before 0.14.", DefaultValueFactory = _ => 2 };
        version.Validators.Add(r => { if (r.GetValueOrDefault<int>() is not (1 or 2)) r.AddError("--format is 1 or 2."); });
        var recovery = new Option<string?>("--recovery-password-file") { Description = "A second password, in this file, for escrow: keep it away from this machine." };
        var output = Options.Output();
        var command = new Command("init", "Makes an empty repository.") { version, recovery, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => Outcome.OfAsync(async () =>
        {
            var password = repository.Password(parsed);
            var second = parsed.GetValue(recovery) is { } file ? RepositoryOptions.FromFile(file) : null;
            await using var made = await ResticRepository.CreateAsync(
                repository.Backend(parsed), password, TimeProvider.System, parsed.GetValue(version), cancellation).ConfigureAwait(false);
            if (second is not null)
            {
                await made.AddKeyAsync(second, cancellation).ConfigureAwait(false);
            }
            var console = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(output) == OutputFormat.Json)
            {
                await console.WriteLineAsync(BackupJson.Text(new RepositoryView(made.Backend.Location, made.Config.Version, made.Config.Id))).ConfigureAwait(false);
                return ExitCode.Success;
            }
            await console.WriteLineAsync($"Made repository {made.Config.Id[..8]} (restic format {made.Config.Version}) at {made.Backend.Location}.").ConfigureAwait(false);
            await console.WriteLineAsync(second is null
                ? "Without the password nothing can be restored, by anybody. For escrow add a second one: evenkeel backup key add --new-password-file FILE"
                : "The recovery password opens it too; store it where this machine's loss cannot reach it.").ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }
}
