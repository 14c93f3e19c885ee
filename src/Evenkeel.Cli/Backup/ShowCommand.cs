using System.CommandLine;
using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Cli.Backup;

/// <summary><c>backup show</c>: what a snapshot holds.</summary>
internal static class ShowCommand
{
    public static Command Create()
    {
        var repository = new RepositoryOptions();
        var snapshot = SnapshotArgument.Create();
        var output = Options.Output();
        var command = new Command("show", "Lists the files of a snapshot.") { snapshot, output };
        repository.AddTo(command);
        command.SetAction((parsed, cancellation) => repository.UseAsync(parsed, cancellation, async opened =>
        {
            await opened.LoadIndexAsync(cancellation).ConfigureAwait(false);
            var found = await SnapshotArgument.FindAsync(opened, parsed.GetRequiredValue(snapshot), cancellation).ConfigureAwait(false);
            var console = parsed.InvocationConfiguration.Output;
            var json = parsed.GetValue(output) == OutputFormat.Json;
            var views = new List<NodeView>();
            await foreach (var (path, node) in WalkAsync(new BlobReader(opened), found.TreeId, "", cancellation).ConfigureAwait(false))
            {
                if (json)
                {
                    views.Add(new NodeView(path, node.Kind.ToString().ToLowerInvariant(), node.Size, node.Modified.ToString()));
                }
                else
                {
                    await console.WriteLineAsync($"{node.Kind,-8} {Sizes.Of((long)node.Size),10}  {node.Modified.ToDateTimeOffset():yyyy-MM-dd HH:mm}  {path}").ConfigureAwait(false);
                }
            }
            if (json)
            {
                await console.WriteLineAsync(BackupJson.Text<IReadOnlyList<NodeView>>(views)).ConfigureAwait(false);
            }
            return ExitCode.Success;
        }));
        return command;
    }

    private static async IAsyncEnumerable<(string Path, Node Node)> WalkAsync(
        BlobReader reader, ObjectId tree, string path, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellation)
    {
        foreach (var node in await reader.ReadTreeAsync(tree, cancellation).ConfigureAwait(false))
        {
            var child = $"{path}/{node.DisplayName}";
            yield return (child, node);
            if (node.Subtree is { } subtree)
            {
                await foreach (var below in WalkAsync(reader, subtree, child, cancellation).ConfigureAwait(false))
                {
                    yield return below;
                }
            }
        }
    }
}
