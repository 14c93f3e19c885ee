namespace Evenkeel.Core.Model;

public enum OtlpProtocol { Http, Grpc }

/// <summary>Where each agent sends traces of failovers (OpenTelemetry, OTLP).</summary>
/// <param name="Otlp">A collector's base URL; by HTTP <c>/v1/traces</c> is added to it.</param>
public sealed record TelemetrySpec(Uri Otlp)
{
    /// <summary>HTTP with protobuf bodies, or gRPC.</summary>
    public OtlpProtocol Protocol { get; set; } = OtlpProtocol.Http;
    /// <summary>Sent with each export; no secrets.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; set; } = new Dictionary<string, string>();
    /// <summary>A file on each node with the value of the Authorization header, or null.</summary>
    public string? AuthorizationFile { get; init; }
}
