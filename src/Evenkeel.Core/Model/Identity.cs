using System.Text.Json.Serialization;

namespace Evenkeel.Core.Model;

/// <summary>A node's name as <c>cluster.yaml</c> gives it: 1 to 63 of <c>a-z 0-9 -</c>, beginning with a letter (RFC 1035 label).</summary>
[JsonConverter(typeof(NodeNameConverter))]
public readonly record struct NodeName(string Value) : IComparable<NodeName>
{
    public int CompareTo(NodeName other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>
/// One run of a guard process. Minted at random when a guard starts; ownership is bound to it, so that a guard that
/// restarted (and forgot) owns nothing of what its predecessor owned.
/// </summary>
[JsonConverter(typeof(GuardSessionConverter))]
public readonly record struct GuardSession(ulong Value)
{
    public override string ToString() => Value.ToString("x16", System.Globalization.CultureInfo.InvariantCulture);
}

/// <summary>
/// The fencing token: grows with each change of owner. The incarnation grows when the store is restored from a snapshot
/// and outranks every number that was given before it (architecture.md, safety rule 2).
/// </summary>
[JsonConverter(typeof(EpochConverter))]
public readonly record struct Epoch(int Incarnation, long Number) : IComparable<Epoch>
{
    public static readonly Epoch None;
    public Epoch Next => new(Incarnation, Number + 1);
    public int CompareTo(Epoch other) =>
        Incarnation != other.Incarnation ? Incarnation.CompareTo(other.Incarnation) : Number.CompareTo(other.Number);
    public static bool operator <(Epoch left, Epoch right) => left.CompareTo(right) < 0;
    public static bool operator >(Epoch left, Epoch right) => left.CompareTo(right) > 0;
    public static bool operator <=(Epoch left, Epoch right) => left.CompareTo(right) <= 0;
    public static bool operator >=(Epoch left, Epoch right) => left.CompareTo(right) >= 0;
    public override string ToString() => $"{Incarnation}.{Number}";
}

/// <summary>An exclusive resource: <c>vip/front</c>, <c>service/db</c>, <c>volume/files</c>. At most one node acts as its owner.</summary>
[JsonConverter(typeof(ResourceIdConverter))]
public readonly record struct ResourceId(string Value) : IComparable<ResourceId>
{
    public static ResourceId Vip(string name) => new("vip/" + name);
    public static ResourceId Service(string name) => new("service/" + name);
    public static ResourceId Volume(string name) => new("volume/" + name);

    /// <summary>What runs for the resource on its owner's node: a service's name, or a volume's whole id.</summary>
    public string Instance => Kind == "volume" ? Value : Name;
    /// <summary>Instances run for it: it is stopped before it is given back.</summary>
    public bool IsRun => Kind is "service" or "volume";
    /// <summary><c>vip</c>, <c>service</c> or <c>volume</c>.</summary>
    public string Kind => Value[..Value.IndexOf('/', StringComparison.Ordinal)];
    public string Name => Value[(Value.IndexOf('/', StringComparison.Ordinal) + 1)..];
    public int CompareTo(ResourceId other) => string.CompareOrdinal(Value, other.Value);
    public override string ToString() => Value;
}

/// <summary>Who owns an exclusive resource, as committed: the triple of safety rule 2. Never granted again once a stop of it began.</summary>
public sealed record Owner(NodeName Node, GuardSession Session, Epoch Epoch)
{
    public override string ToString() => $"{Node}@{Epoch}";
}
