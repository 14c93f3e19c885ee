using System.Text.Json.Serialization;

namespace Evenkeel.Core.PrivateConnection;

/// <summary>Source-generated (ahead-of-time safe) JSON of the guard protocol.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(AgentMessage))]
[JsonSerializable(typeof(GuardMessage))]
public sealed partial class GuardProtocolJson : JsonSerializerContext;
