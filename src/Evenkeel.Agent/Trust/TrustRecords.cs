using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Trust;

/// <param name="Hash">As <see cref="AuthorityHash"/> writes it.</param>
/// <param name="Pem">Its certificate.</param>
internal sealed record TrustedAuthority(string Hash, string Pem);

/// <summary>Whose signature makes a member, and who signs: written by whoever has the authority's key, carried out by every node.</summary>
/// <param name="Trusted">One; two, the older first, while one takes the other's place.</param>
/// <param name="Issuing">Hash of the one that signs.</param>
/// <param name="Holder">The node that has its key (of the newer one, while there are two).</param>
/// <param name="Stepwise">The next phase waits for an operator, not only for the nodes.</param>
/// <param name="Began">When the change under way, or the last one, began.</param>
internal sealed record AuthorityRecord(IReadOnlyList<TrustedAuthority> Trusted, string Issuing, NodeName Holder, bool Stepwise, DateTimeOffset Began)
{
    [JsonIgnore]
    public AuthorityPhase Phase => Trusted.Count < 2 ? AuthorityPhase.Settled : Issuing == Trusted[0].Hash ? AuthorityPhase.Trust : AuthorityPhase.Reissue;

    /// <summary>The one that stays.</summary>
    [JsonIgnore]
    public TrustedAuthority Newest => Trusted[^1];
}

/// <summary>Where a change of the authority is; each phase ends when every node has reported that it is through.</summary>
public enum AuthorityPhase
{
    /// <summary>One authority; no change is under way.</summary>
    Settled,
    /// <summary>Nodes learn to trust the new one beside the old one, which signs on.</summary>
    Trust,
    /// <summary>Nodes get certificates of the new one; both are trusted.</summary>
    Reissue,
}

/// <summary>What a node says of itself, whenever it changes.</summary>
/// <param name="Trusted">Hashes of the authorities that its agent trusts.</param>
/// <param name="StoreTrusted">Hashes that its member of etcd trusts, which reads them when it starts; null where none runs.</param>
/// <param name="Issuer">Of its certificate; null when it trusts none that has signed it.</param>
/// <param name="Ends">When its certificate ends.</param>
/// <param name="GuardKeys">Numbers of the keys that its guard opens datagrams with; empty while it has not said.</param>
/// <param name="GuardSeals">Number of the key that its guard seals with; 0 while it has not said.</param>
internal sealed record TrustReport(
    NodeName Node, IReadOnlyList<string> Trusted, IReadOnlyList<string>? StoreTrusted, string? Issuer, string Serial, DateTimeOffset Ends, IReadOnlyList<int> GuardKeys, int GuardSeals)
{
    public bool SameAs(TrustReport? other) => other is not null && Trusted.SequenceEqual(other.Trusted) && (StoreTrusted ?? ["-"]).SequenceEqual(other.StoreTrusted ?? ["-"])
        && Issuer == other.Issuer && Serial == other.Serial && GuardKeys.SequenceEqual(other.GuardKeys) && GuardSeals == other.GuardSeals;
}

/// <summary>Records of trust in the coordination store.</summary>
internal sealed class TrustKeys(string cluster)
{
    public string Prefix { get; } = $"/evenkeel/{cluster}/trust/";
    public string Authority => Prefix + "authority";
    public string NodePrefix => Prefix + "nodes/";
    public string Node(NodeName node) => NodePrefix + node.Value;

    public Write Put(AuthorityRecord record) => new(Authority, JsonSerializer.SerializeToUtf8Bytes(record, TrustJson.Default.AuthorityRecord));
    public Write Put(TrustReport report) => new(Node(report.Node), JsonSerializer.SerializeToUtf8Bytes(report, TrustJson.Default.TrustReport));

    public static AuthorityRecord? ReadAuthority(StoreEntry entry) => Read(entry, TrustJson.Default.AuthorityRecord) is { Trusted.Count: > 0 } record ? record : null;
    public static TrustReport? ReadReport(StoreEntry entry) => Read(entry, TrustJson.Default.TrustReport);

    // What cannot be read was written by a later version, or by a hand: as if it were not there.
    private static T? Read<T>(StoreEntry entry, System.Text.Json.Serialization.Metadata.JsonTypeInfo<T> type) where T : class
    {
        try
        {
            return JsonSerializer.Deserialize(entry.Value.Span, type);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(AuthorityRecord))]
[JsonSerializable(typeof(TrustReport))]
internal sealed partial class TrustJson : JsonSerializerContext;
