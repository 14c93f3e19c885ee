using Evenkeel.Backup.Repository;
using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Engine;

/// <summary>A difference between two snapshots.</summary>
/// <param name="Path">Within the snapshots.</param>
/// <param name="Change"><c>added</c>, <c>removed</c>, <c>content</c>, <c>type</c> or <c>metadata</c>.</param>
public sealed record Difference(string Path, string Change);

/// <summary>Compares snapshots; directories with equal trees are not entered.</summary>
public sealed class DiffEngine(ResticRepository repository)
{
    private readonly BlobReader _reader = new(repository);

    /// <summary>All differences in the order of the paths.</summary>
    public async Task<IReadOnlyList<Difference>> RunAsync(Snapshot before, Snapshot after, CancellationToken cancellation)
    {
        var result = new List<Difference>();
        await CompareAsync(before.TreeId, after.TreeId, "", result, cancellation).ConfigureAwait(false);
        return result;
    }

    private async Task CompareAsync(ObjectId? before, ObjectId? after, string path, List<Difference> result, CancellationToken cancellation)
    {
        if (before == after)
        {
            return;
        }
        var old = await LoadAsync(before, cancellation).ConfigureAwait(false);
        var current = await LoadAsync(after, cancellation).ConfigureAwait(false);
        foreach (var key in old.Keys.Union(current.Keys).Order())
        {
            var a = old.GetValueOrDefault(key);
            var b = current.GetValueOrDefault(key);
            var child = $"{path}/{(a ?? b)!.DisplayName}";
            if (Change(a, b) is { } change)
            {
                result.Add(new Difference(child, change));
            }
            if (a?.Subtree is not null || b?.Subtree is not null)
            {
                await CompareAsync(a?.Subtree, b?.Subtree, child, result, cancellation).ConfigureAwait(false);
            }
        }
    }

    private static string? Change(Node? a, Node? b)
    {
        if (a is null || b is null)
        {
            return a is null ? "added" : "removed";
        }
        if (a.Kind != b.Kind)
        {
            return "type";
        }
        if (!(a.Content ?? []).SequenceEqual(b.Content ?? []) || !(a.LinkTarget ?? []).SequenceEqual(b.LinkTarget ?? []))
        {
            return "content";
        }
        var same = a.Mode == b.Mode && a.UserId == b.UserId && a.GroupId == b.GroupId && a.Modified.SameInstant(b.Modified)
            && a.ExtendedAttributes.Count == b.ExtendedAttributes.Count
            && a.ExtendedAttributes.Zip(b.ExtendedAttributes).All(p => p.First.Name.SequenceEqual(p.Second.Name) && p.First.Value.SequenceEqual(p.Second.Value));
        return same ? null : "metadata";
    }

    private async Task<Dictionary<ByteKey, Node>> LoadAsync(ObjectId? tree, CancellationToken cancellation) => tree is not { } id ? []
        : (await _reader.ReadTreeAsync(id, cancellation).ConfigureAwait(false)).DistinctBy(n => new ByteKey(n.Name)).ToDictionary(n => new ByteKey(n.Name));
}
