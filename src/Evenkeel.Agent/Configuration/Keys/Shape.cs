namespace Evenkeel.Agent.Configuration.Keys;

// The description of what a cluster file may hold. One description, three readers: the check of a file (ShapeCheck),
// the JSON schema (JsonSchema) and docs/configuration.md (ConfigurationManual).

/// <summary>What a value may be.</summary>
public abstract record Shape;

/// <param name="What">In words, for messages: <c>a path such as /healthz</c>.</param>
/// <param name="Pattern">A regular expression that the whole text matches; null when any non-empty text will do.</param>
public sealed record TextShape(string What, string? Pattern = null) : Shape;

public sealed record ChoiceShape(params string[] Values) : Shape;
public sealed record IntegerShape(long Least, long Greatest) : Shape;
public sealed record NumberShape(double Least, double Greatest) : Shape;
public sealed record BooleanShape : Shape;
public sealed record DurationShape(TimeSpan Least, TimeSpan Greatest) : Shape;
public sealed record SizeShape : Shape;
/// <summary>An IPv4 or IPv6 address.</summary>
public sealed record AddressShape : Shape;
/// <summary>A network in CIDR notation, host bits zero.</summary>
public sealed record NetworkShape : Shape;
public sealed record UrlShape : Shape;

/// <param name="OrOne">Whether one item may stand alone, without the brackets.</param>
public sealed record ListShape(Shape Item, bool OrOne = true, int Least = 0) : Shape;

/// <summary>Names of the user's choice, each with a value.</summary>
public sealed record NamesShape(string NameWhat, string NamePattern, Shape Value) : Shape;

/// <summary>Fixed keys. <paramref name="Title"/> heads its section in the manual; <paramref name="OneOf"/>: exactly one of these keys.</summary>
public sealed record KeysShape(string Title, IReadOnlyList<Key> Keys, IReadOnlyList<string>? OneOf = null) : Shape;

/// <summary>One of several, told apart by their YAML kind (scalar, list, map): at most one of each.</summary>
public sealed record EitherShape(params Shape[] Alternatives) : Shape;

/// <summary>A key, what it is for, and what happens without it.</summary>
/// <param name="Name">As written in the file.</param>
/// <param name="Shape">What its value may be.</param>
/// <param name="Help">One or two sentences.</param>
/// <param name="Default">What holds when it is left out, in words; null when it is required or nothing holds.</param>
/// <param name="Required">Whether the file must have it.</param>
/// <param name="NotYet">Non-null for a key of a later version: using it is an error, and this says what it will be.</param>
public sealed record Key(string Name, Shape Shape, string Help, string? Default = null, bool Required = false, string? NotYet = null);
