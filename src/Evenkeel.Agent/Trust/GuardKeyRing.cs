using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Trust;

/// <summary>
/// The keys of the guards' datagrams: random, kept in the coordination store, which only members can read (mutual TLS). Each opens; one
/// seals. Two records: the keys as they always were, and beside them which one seals and since when.
/// </summary>
/// <param name="Keys">32 bytes each, by number.</param>
/// <param name="Seals">Number of the one that seals.</param>
/// <param name="Since">When it began to.</param>
/// <param name="Unwanted">Number of a key that is to be replaced whatever its age; 0: none.</param>
internal sealed record GuardKeyRing(IReadOnlyDictionary<int, byte[]> Keys, int Seals, DateTimeOffset Since, int Unwanted)
{
    public static string Prefix(string cluster) => $"/evenkeel/{cluster}/keys/";
    public static string KeysKey(string cluster) => Prefix(cluster) + "guard";
    public static string SealingKey(string cluster) => Prefix(cluster) + "guard-sealing";

    public static GuardKeyRing First(DateTimeOffset now) => new(new Dictionary<int, byte[]> { [1] = NewKey() }, 1, now, 0);

    public static byte[] NewKey() => RandomNumberGenerator.GetBytes(32);

    public IReadOnlyList<Write> Writes(string cluster) =>
    [
        new(KeysKey(cluster), JsonSerializer.SerializeToUtf8Bytes(Keys.ToDictionary(), GuardKeysJson.Default.DictionaryInt32ByteArray)),
        new(SealingKey(cluster), JsonSerializer.SerializeToUtf8Bytes(new Sealing(Seals, Since, Unwanted), GuardKeysJson.Default.Sealing)),
    ];

    /// <summary>Nobody has changed either record since they were read.</summary>
    public static IReadOnlyList<Compare> Compares(string cluster, IReadOnlyDictionary<string, StoreEntry> entries) =>
        [.. new[] { KeysKey(cluster), SealingKey(cluster) }.Select(key => new Compare(key, entries.GetValueOrDefault(key)?.ModRevision ?? 0))];

    /// <exception cref="StoreUnavailableException">The store cannot be asked.</exception>
    /// <exception cref="InvalidDataException">There are none, or they cannot be read.</exception>
    public static async Task<GuardKeyRing> ReadAsync(ICoordinationStore store, string cluster, CancellationToken cancellation) =>
        Read(cluster, (await store.ReadAsync(Prefix(cluster), cancellation).ConfigureAwait(false)).Entries.ToDictionary(entry => entry.Key));

    /// <exception cref="InvalidDataException">There are none, or they cannot be read.</exception>
    public static GuardKeyRing Read(string cluster, IReadOnlyDictionary<string, StoreEntry> entries)
    {
        var keys = entries.GetValueOrDefault(KeysKey(cluster)) ?? throw new InvalidDataException($"the store holds no guard keys for cluster '{cluster}'; was it initialised?");
        try
        {
            if (JsonSerializer.Deserialize(keys.Value.Span, GuardKeysJson.Default.DictionaryInt32ByteArray) is not { Count: > 0 } read)
            {
                throw new InvalidDataException("the store's guard keys are empty");
            }

            // Where nothing says which one seals (a cluster of an earlier version), the newest does.
            var sealing = entries.GetValueOrDefault(SealingKey(cluster)) is { } entry ? JsonSerializer.Deserialize(entry.Value.Span, GuardKeysJson.Default.Sealing) : null;
            return sealing is not null && read.ContainsKey(sealing.Number) ? new GuardKeyRing(read, sealing.Number, sealing.Since, sealing.Unwanted) : new GuardKeyRing(read, read.Keys.Max(), DateTimeOffset.MinValue, 0);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"the store's guard keys cannot be read: {exception.Message}");
        }
    }

    internal sealed record Sealing(int Number, DateTimeOffset Since, int Unwanted);
}

[JsonSerializable(typeof(Dictionary<int, byte[]>))]
[JsonSerializable(typeof(GuardKeyRing.Sealing))]
internal sealed partial class GuardKeysJson : JsonSerializerContext;
