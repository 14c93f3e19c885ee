using System.Buffers.Binary;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Evenkeel.Core.PrivateConnection;

// What a driver and the host of its actions say to each other over the driver's Unix socket. The host is an instance's main
// process: the guard starts it and ends its tree with the lease, so what it runs for the driver cannot outlive the right to run.
// Frames: a 32-bit little-endian length, UTF-8 JSON inside (at most 1 MiB). Hosts connect, and again when the agent restarts.

/// <summary>Either way over the socket.</summary>
[JsonPolymorphic(TypeDiscriminatorPropertyName = "type")]
[JsonDerivedType(typeof(HostHello), "hello")]
[JsonDerivedType(typeof(RunAction), "run")]
[JsonDerivedType(typeof(CancelAction), "cancel")]
[JsonDerivedType(typeof(Remember), "remember")]
[JsonDerivedType(typeof(ActionEnded), "ended")]
[JsonDerivedType(typeof(ToolCall), "tool")]
[JsonDerivedType(typeof(ToolAnswer), "answer")]
public abstract record HostMessage;

/// <summary>A host's first message.</summary>
/// <param name="Memo">What the driver last asked it to remember; empty in a host that was just started.</param>
/// <param name="Busy">Actions that an earlier agent asked for have not ended: their ends will be told too.</param>
public sealed record HostHello(string Instance, int ProcessId, string Memo, bool Busy) : HostMessage;

/// <summary>Run this inside the instance's tree; one at a time, in order. The time begins when it begins.</summary>
public sealed record RunAction(
    long Id, IReadOnlyList<string> Command, IReadOnlyDictionary<string, string> Environment, int TimeoutMilliseconds) : HostMessage;

/// <summary>Kill the action's process group if it runs, forget it if it waits; its end is told either way.</summary>
public sealed record CancelAction(long Id) : HostMessage;

/// <summary>Kept in the host's memory, so that it lasts exactly as long as the instance.</summary>
public sealed record Remember(string Memo) : HostMessage;

/// <param name="ExitCode">128 + signal number when a signal ended it.</param>
/// <param name="TimedOut">It was killed for taking too long.</param>
/// <param name="Error">It could not be started, for this reason.</param>
public sealed record ActionEnded(long Id, int ExitCode, bool TimedOut, string Output, string Errors, string? Error) : HostMessage;

/// <summary>A stock agent called one of the cluster's tools.</summary>
public sealed record ToolCall(string Instance, string Program, IReadOnlyList<string> Arguments) : HostMessage;

public sealed record ToolAnswer(int ExitCode, string Output, string Errors) : HostMessage;

/// <summary>Source-generated (ahead-of-time safe) JSON of the host protocol, and its frames.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HostMessage))]
public sealed partial class HostProtocolJson : JsonSerializerContext
{
    public const int LongestMessage = 1 << 20;
    public const int PrefixLength = 4;

    /// <summary>The message with its length before it.</summary>
    public static byte[] Frame(HostMessage message)
    {
        var body = JsonSerializer.SerializeToUtf8Bytes(message, Default.HostMessage);
        var frame = new byte[PrefixLength + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, body.Length);
        body.CopyTo(frame, PrefixLength);
        return frame;
    }

    /// <exception cref="InvalidDataException">No length that a message can have.</exception>
    public static int Length(ReadOnlySpan<byte> prefix) =>
        BinaryPrimitives.ReadInt32LittleEndian(prefix) is > 0 and <= LongestMessage and var length ? length
            : throw new InvalidDataException("not a message of the host protocol");

    /// <exception cref="JsonException">Not a message.</exception>
    public static HostMessage Parse(ReadOnlySpan<byte> body) =>
        JsonSerializer.Deserialize(body, Default.HostMessage) ?? throw new JsonException("an empty message");
}
