using System.Text;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Services.Ocf.Attributes;

/// <summary>
/// Attributes that all nodes see. This node's own are kept in its file, which is always there, and copied to the coordination
/// store for the others; the cluster's are in the store, and their last known values in the file for when it does not answer.
/// </summary>
/// <param name="own">What this node is called: by its name, and by its addresses.</param>
/// <param name="newId">A fresh request id.</param>
public sealed class SharedAttributes(AttributeFile file, ICoordinationStore store, string cluster, IReadOnlyCollection<string> own, Func<Guid> newId) : IAttributes
{
    private const int Tries = 3;
    private readonly string _prefix = $"/evenkeel-attributes/{cluster}/";

    public async Task<string?> GetAsync(AttributeKey key, CancellationToken cancellation)
    {
        if (IsOwn(key))
        {
            return await file.GetAsync(key, cancellation).ConfigureAwait(false);
        }

        try
        {
            var path = PathOf(key);
            var found = (await store.ReadAsync(path, cancellation).ConfigureAwait(false)).Entries.FirstOrDefault(entry => entry.Key == path);
            var value = found is null ? null : Encoding.UTF8.GetString(found.Value.Span);
            await file.SetAsync(key, value, cancellation).ConfigureAwait(false);
            return value;
        }
        catch (StoreUnavailableException)
        {
            return await file.GetAsync(key, cancellation).ConfigureAwait(false);
        }
    }

    public async Task SetAsync(AttributeKey key, string? value, CancellationToken cancellation)
    {
        if (!IsOwn(key))
        {
            if (await PutAsync(key, value, cancellation).ConfigureAwait(false) is { } problem)
            {
                throw new IOException($"the attribute {key.Name} is not in the coordination store: {problem}");
            }

            await file.SetAsync(key, value, cancellation).ConfigureAwait(false);
            return;
        }

        if (await file.GetAsync(key, cancellation).ConfigureAwait(false) != value)
        {
            await file.SetAsync(key, value, cancellation).ConfigureAwait(false);
            // The others' copy; a node whose store is away goes on without.
            await PutAsync(key, value, cancellation).ConfigureAwait(false);
        }
    }

    public async Task<IReadOnlyDictionary<AttributeKey, string>> AllAsync(CancellationToken cancellation)
    {
        var all = new Dictionary<AttributeKey, string>(await file.AllAsync(cancellation).ConfigureAwait(false));
        try
        {
            foreach (var entry in (await store.ReadAsync(_prefix, cancellation).ConfigureAwait(false)).Entries)
            {
                if (entry.Key[_prefix.Length..].Split('/') is [var scope, var name]
                    && new AttributeKey(Uri.UnescapeDataString(scope), Uri.UnescapeDataString(name)) is var key && !IsOwn(key))
                {
                    all[key] = Encoding.UTF8.GetString(entry.Value.Span);
                }
            }
        }
        catch (StoreUnavailableException)
        {
            // What the file remembers must do.
        }

        return all;
    }

    private async Task<string?> PutAsync(AttributeKey key, string? value, CancellationToken cancellation)
    {
        var transaction = new Transaction(newId(), [], [new Write(PathOf(key), value is null ? null : Encoding.UTF8.GetBytes(value))]);
        var result = await store.CommitAsync(transaction, cancellation).ConfigureAwait(false);
        for (var attempt = 1; attempt < Tries && result.Outcome == CommitOutcome.Indeterminate; attempt++)
        {
            result = await store.CommitAsync(transaction, cancellation).ConfigureAwait(false);
        }

        return result.Outcome == CommitOutcome.Committed ? null : result.Reason ?? result.Outcome.ToString();
    }

    private bool IsOwn(AttributeKey key) => key.Node is { } node && (own.Contains(node) || node.StartsWith("resource:", StringComparison.Ordinal));

    private string PathOf(AttributeKey key) => $"{_prefix}{Uri.EscapeDataString(key.Scope)}/{Uri.EscapeDataString(key.Name)}";
}
