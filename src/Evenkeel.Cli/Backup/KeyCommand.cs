using System.CommandLine;
using Evenkeel.Backup;
using Evenkeel.Backup.Backends;
using Evenkeel.Backup.Repository;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup key list|add|change|remove</c>.</summary>
internal static class KeyCommand
{
    public static Command Create() => new DescribedCommand("key", "Lists, adds, changes and removes passwords.", """
        All passwords open the same master key: who has had one may have kept the master key. When it leaked, copy the
        repository to a new one ('evenkeel backup copy'), which seals everything anew.
        """)
    { CreateList(), CreateAdd("add", "Adds a password.", replaces: false), CreateAdd("change", "Replaces the password in use by another.", replaces: true), CreateRemove() };

    private static Command CreateList()
    {
        var repository = new RepositoryOptions();
        var output = Options.Output();
        var command = new Command("list", "Lists the key files; * is the one in use.") { output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var keys = (await opened.LoadKeysAsync(cancellation).ConfigureAwait(false))
                .Select(k => new KeyView(k.Id.ToString(), k.File.Created, k.File.Username, k.File.Hostname, k.Id == opened.KeyId)).ToList();
            await parsed.InvocationConfiguration.Output.WriteLineAsync(parsed.GetValue(output) == OutputFormat.Json
                ? BackupJson.Text<IReadOnlyList<KeyView>>(keys)
                : string.Join('\n', keys.Select(k => $"{(k.Current ? '*' : ' ')} {k.Id[..8]}  {k.Created}  {k.Username}@{k.Hostname}"))).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return command;
    }

    private static Command CreateAdd(string name, string description, bool replaces)
    {
        var repository = new RepositoryOptions();
        var file = new Option<string>("--new-password-file") { Description = "A file whose first line is the new password.", Required = true };
        var command = new Command(name, description) { file };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var id = await opened.AddKeyAsync(RepositoryOptions.FromFile(parsed.GetRequiredValue(file)), cancellation).ConfigureAwait(false);
            if (replaces)
            {
                await opened.Backend.DeleteAsync(FileKind.Key, opened.KeyId.ToString(), cancellation).ConfigureAwait(false);
            }
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"Key {id.Brief} {(replaces ? "replaces " + opened.KeyId.Brief : "was added")}.").ConfigureAwait(false);
            return ExitCode.Success;
        }, exclusive: true));
        return command;
    }

    private static Command CreateRemove()
    {
        var repository = new RepositoryOptions();
        var key = new Argument<string>("KEY") { Description = "The first digits of a key's id." };
        var command = new Command("remove", "Removes a password other than the one in use.") { key };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            var start = parsed.GetRequiredValue(key);
            var found = (await opened.ListAsync(FileKind.Key, cancellation).ConfigureAwait(false)).FindAll(k => k.ToString().StartsWith(start, StringComparison.Ordinal));
            if (found.Count != 1)
            {
                throw new RepositoryException(RepositoryError.NotFound, $"{found.Count} keys begin with '{start}'");
            }
            if (found[0] == opened.KeyId)
            {
                throw new RepositoryException(RepositoryError.Refused, "that key is in use; open the repository with another password to remove it");
            }
            await opened.Backend.DeleteAsync(FileKind.Key, found[0].ToString(), cancellation).ConfigureAwait(false);
            await parsed.InvocationConfiguration.Output.WriteLineAsync($"Key {found[0].Brief} was removed.").ConfigureAwait(false);
            return ExitCode.Success;
        }, exclusive: true));
        return command;
    }
}
