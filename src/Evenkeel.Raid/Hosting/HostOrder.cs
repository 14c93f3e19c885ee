using System.Text.Json.Serialization;

namespace Evenkeel.Raid.Hosting;

/// <summary>What a host may be told, one JSON object a line on its control socket.</summary>
/// <param name="Do">status, add, fail, remove, replace, check, repair, interrupt, limit, lend or stop.</param>
/// <param name="Member">The member concerned: its path or URI, or its slot's number.</param>
/// <param name="Device">The new device, for add and replace.</param>
/// <param name="BytesPerSecond">For limit; null lifts it.</param>
/// <param name="Group">For lend: the group of arrays that share spares.</param>
/// <param name="Bytes">For lend: how large the spare must be.</param>
public sealed record HostOrder(string Do, string? Member = null, string? Device = null, long? BytesPerSecond = null, string? Group = null, long Bytes = 0);

/// <summary>The host's answer, one JSON object a line.</summary>
/// <param name="Error">Why the order was not carried out; null if it was.</param>
/// <param name="Refused">Whether the error is a refusal that protects data.</param>
/// <param name="Report">The array after it.</param>
/// <param name="Device">The spare that was lent; it is closed and no member here any more.</param>
public sealed record HostAnswer(string? Error, bool Refused, ArrayReport? Report, string? Device = null);

/// <summary>The control socket's JSON: camel case, states as words.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(HostOrder))]
[JsonSerializable(typeof(HostAnswer))]
[JsonSerializable(typeof(UnfinishedScrub))]
public sealed partial class HostJson : JsonSerializerContext;
