using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Tracing;

/// <summary>Where traces go: by the variables of the OpenTelemetry specification, else by the cluster's file.</summary>
/// <param name="Spec">Null: by the variables, which the exporter reads itself.</param>
/// <param name="Authorization">What the file named in the spec holds.</param>
internal sealed record TelemetrySettings(TelemetrySpec? Spec, string? Authorization)
{
    private static readonly string[] s_endpoints = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

    /// <returns>Null: nowhere.</returns>
    /// <exception cref="IOException">The file with the authorization cannot be read.</exception>
    public static TelemetrySettings? Of(TelemetrySpec? spec, Func<string, string?> environment)
    {
        if (string.Equals(environment("OTEL_SDK_DISABLED"), "true", StringComparison.OrdinalIgnoreCase) || environment("OTEL_TRACES_EXPORTER") == "none")
        {
            return null;
        }

        if (s_endpoints.Any(name => environment(name) is { Length: > 0 }))
        {
            return new TelemetrySettings(null, null);
        }

        return spec is null ? null : new TelemetrySettings(spec, spec.AuthorizationFile is { } file ? File.ReadAllText(file).Trim() : null);
    }
}
