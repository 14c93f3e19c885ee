using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Api;

/// <param name="Name">For people, the audit trail, and to revoke it by.</param>
/// <param name="Hash">SHA-256 of the token, hexadecimal: the token itself is kept nowhere. It is 160 random bits, so that no salt or slow hash is needed.</param>
/// <param name="By">Who asked for it.</param>
internal sealed record ApiToken(string Name, ApiRole Role, string Hash, DateTimeOffset Created, DateTimeOffset Ends, string By);

/// <summary>The tokens of the control API, in the coordination store: every node knows each, and that it was revoked.</summary>
internal sealed class ApiTokens
{
    public const string Prefix = "evk_";
    private const int SecretBytes = 20;
    private readonly ICoordinationStore _store;
    private readonly string _keys;
    private readonly StoreView _view;
    private readonly TimeProvider _time;

    public ApiTokens(ICoordinationStore store, string cluster, TimeProvider time)
    {
        (_store, _keys, _time) = (store, $"/evenkeel/{cluster}/api/tokens/", time);
        _view = new StoreView(store, _keys, () => { });
    }

    public Task RunAsync(CancellationToken cancellation) => _view.RunAsync(cancellation);

    /// <summary>The store has answered this node.</summary>
    public bool AreKnown => _view.Entries is not null;

    /// <summary>All of them, by name, those that have ended too.</summary>
    public IReadOnlyList<ApiToken> All => [.. (_view.Entries?.Values ?? []).Select(Read).OfType<ApiToken>().OrderBy(token => token.Name, StringComparer.Ordinal)];

    /// <summary>Whose token it is, as this node last heard; null when it is nobody's any more. The reason is for the log.</summary>
    /// <exception cref="StoreUnavailableException">The store has not answered this node yet: no token is known.</exception>
    public (ApiToken? Token, string? Why) Find(string secret) =>
        !AreKnown ? throw new StoreUnavailableException("the coordination store has not answered this node yet") : Judge(secret, All);

    /// <summary>As <see cref="Find"/>, from the store itself: one that was revoked a moment ago changes nothing.</summary>
    /// <exception cref="StoreUnavailableException">The store cannot be asked.</exception>
    public async Task<(ApiToken? Token, string? Why)> FindNowAsync(string secret, CancellationToken cancellation) =>
        Judge(secret, [.. (await _store.ReadAsync(_keys, cancellation).ConfigureAwait(false)).Entries.Select(Read).OfType<ApiToken>()]);

    /// <summary>A new one.</summary>
    /// <returns>The token, shown this once; null when there is one of this name.</returns>
    /// <exception cref="StoreUnavailableException">It could not be kept.</exception>
    public async Task<string?> CreateAsync(string name, ApiRole role, TimeSpan lifetime, string by, CancellationToken cancellation)
    {
        var secret = Prefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(SecretBytes));
        var now = _time.GetUtcNow();
        var token = new ApiToken(name, role, Hash(secret), now, now + lifetime, by);
        return await CommitAsync(name, 0, JsonSerializer.SerializeToUtf8Bytes(token, ApiTokenJson.Default.ApiToken), cancellation).ConfigureAwait(false) ? secret : null;
    }

    /// <returns>False when there is none of this name.</returns>
    /// <exception cref="StoreUnavailableException">It is not known to be revoked.</exception>
    public async Task<bool> RevokeAsync(string name, CancellationToken cancellation)
    {
        var entry = (await _store.ReadAsync(_keys + name, cancellation).ConfigureAwait(false)).Entries.FirstOrDefault(one => one.Key == _keys + name);
        return entry is not null && await CommitAsync(name, entry.ModRevision, null, cancellation).ConfigureAwait(false);
    }

    private async Task<bool> CommitAsync(string name, long revision, byte[]? value, CancellationToken cancellation)
    {
        var result = await _store.CommitAsync(new Transaction(Guid.NewGuid(), [new Compare(_keys + name, revision)], [new Write(_keys + name, value)]), cancellation).ConfigureAwait(false);
        return result.Outcome switch
        {
            CommitOutcome.Committed => true,
            CommitOutcome.Conflict => false,
            _ => throw new StoreUnavailableException(result.Reason ?? "no answer"),
        };
    }

    private (ApiToken?, string?) Judge(string secret, IReadOnlyList<ApiToken> all)
    {
        var hash = Encoding.ASCII.GetBytes(Hash(secret));
        var found = all.FirstOrDefault(token => CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(token.Hash), hash));
        return found is null ? (null, "its token is unknown, or was revoked")
            : found.Ends <= _time.GetUtcNow() ? (null, $"the token '{found.Name}' has ended") : (found, null);
    }

    private static string Hash(string secret) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));

    private static ApiToken? Read(StoreEntry entry)
    {
        try
        {
            return JsonSerializer.Deserialize(entry.Value.Span, ApiTokenJson.Default.ApiToken);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(UseStringEnumConverter = true)]
[JsonSerializable(typeof(ApiToken))]
internal sealed partial class ApiTokenJson : JsonSerializerContext;
