using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Evenkeel.Core.Model;

namespace Evenkeel.Core.Loop.Store;

/// <summary>Source-generated JSON of the store's values: readable with <c>etcdctl get</c>, safe ahead of time.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(IPAddressConverter), typeof(IPNetworkConverter)])]
[JsonSerializable(typeof(ClusterSpec))]
[JsonSerializable(typeof(Controller))]
[JsonSerializable(typeof(Ownership))]
[JsonSerializable(typeof(Assignment))]
[JsonSerializable(typeof(NodeRecord))]
[JsonSerializable(typeof(MoveRequest))]
[JsonSerializable(typeof(RestartRequest))]
[JsonSerializable(typeof(SyncSet))]
[JsonSerializable(typeof(FenceRecord))]
[JsonSerializable(typeof(BackupRecord))]
[JsonSerializable(typeof(int))]
public sealed partial class StateJson : JsonSerializerContext;

public sealed class IPAddressConverter : TextConverter<IPAddress>
{
    protected override IPAddress Parse(string text) =>
        IPAddress.TryParse(text, out var address) ? address : throw new JsonException($"'{text}' is no IP address");
}

public sealed class IPNetworkConverter : TextConverter<IPNetwork>
{
    protected override IPNetwork Parse(string text) =>
        IPNetwork.TryParse(text, out var network) ? network : throw new JsonException($"'{text}' is no network (address/prefix)");
}
