using System.Text.Json.Serialization;
using Evenkeel.Core.Loop.Ports;

namespace Evenkeel.PrivateConnection.Store.Remote;

/// <summary>A call to a served store; answered by a <see cref="StoreAnswer"/> of the same number, a watch by many.</summary>
internal sealed record StoreCall(long Number)
{
    /// <summary>Read everything under this prefix.</summary>
    public string? Read { get; init; }
    public Transaction? Commit { get; init; }
    /// <summary>Watch this prefix after <see cref="After"/>; the connection carries nothing else from then on.</summary>
    public string? Watch { get; init; }
    public long After { get; init; }
    public bool Status { get; init; }
}

internal sealed record StoreAnswer(long Number)
{
    public StoreSnapshot? Snapshot { get; init; }
    public CommitResult? Result { get; init; }
    public WatchBatch? Batch { get; init; }
    public StoreStatus? Status { get; init; }
    public long? Compacted { get; init; }
    public string? Unavailable { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(StoreCall))]
[JsonSerializable(typeof(StoreAnswer))]
internal sealed partial class StoreJson : JsonSerializerContext;
