using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.Agent.Host;

/// <summary>
/// The keys that seal guards' datagrams: random, kept in the coordination store, which only members can read (mutual TLS).
/// The highest number seals, all open, so that a new key can be spread before it is used.
/// </summary>
internal static class GuardKeys
{
    public static string Key(string cluster) => $"/evenkeel/{cluster}/keys/guard";

    public static Write First(string cluster) =>
        new(Key(cluster), JsonSerializer.SerializeToUtf8Bytes(
            new Dictionary<int, byte[]> { [1] = RandomNumberGenerator.GetBytes(32) }, GuardKeysJson.Default.DictionaryInt32ByteArray));

    /// <exception cref="StoreUnavailableException">The store cannot be asked.</exception>
    /// <exception cref="InvalidDataException">There are none, or they cannot be read.</exception>
    public static async Task<IReadOnlyDictionary<int, byte[]>> ReadAsync(ICoordinationStore store, string cluster, CancellationToken cancellation)
    {
        var snapshot = await store.ReadAsync(Key(cluster), cancellation).ConfigureAwait(false);
        var entry = snapshot.Entries.FirstOrDefault(entry => entry.Key == Key(cluster))
            ?? throw new InvalidDataException($"the store holds no guard keys for cluster '{cluster}'; was it initialised?");
        try
        {
            return JsonSerializer.Deserialize(entry.Value.Span, GuardKeysJson.Default.DictionaryInt32ByteArray) is { Count: > 0 } keys
                ? keys : throw new InvalidDataException("the store's guard keys are empty");
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"the store's guard keys cannot be read: {exception.Message}");
        }
    }
}

[JsonSerializable(typeof(Dictionary<int, byte[]>))]
internal sealed partial class GuardKeysJson : JsonSerializerContext;
