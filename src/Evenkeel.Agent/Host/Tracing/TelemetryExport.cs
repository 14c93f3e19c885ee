using Evenkeel.Core.Model;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using Activity = System.Diagnostics.Activity;

namespace Evenkeel.Agent.Host.Tracing;

/// <summary>Sends the spans of <see cref="SpanWriter.Source"/> to a collector by OTLP, on threads of its own. Made only where that is asked for.</summary>
internal static class TelemetryExport
{
    private const int WaitsAtMost = 2_048, Milliseconds = 1_000, LongestMilliseconds = 10_000;

    public static IDisposable Open(TelemetrySettings settings, AgentConfiguration configuration, Action<string> log) => Sdk.CreateTracerProviderBuilder()
        .AddSource(SpanWriter.Source.Name)
        .SetResourceBuilder(ResourceBuilder.CreateEmpty()
            .AddService("evenkeel", configuration.Cluster, ProgramVersion.Current, autoGenerateServiceInstanceId: false, configuration.Node.Value)
            .AddAttributes([new("host.name", Environment.MachineName)])
            // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES: go before ours.
            .AddEnvironmentVariableDetector())
        .AddProcessor(new BatchActivityExportProcessor(new ToldExporter(Options(settings), log), WaitsAtMost, Milliseconds, LongestMilliseconds))
        .Build();

    private static OtlpExporterOptions Options(TelemetrySettings settings)
    {
        // Reads the variables; the specification's default is HTTP, the package's is not.
        var options = new OtlpExporterOptions();
        if (settings.Spec is not { } spec)
        {
            return options;
        }

        var http = spec.Protocol == OtlpProtocol.Http;
        options.Protocol = http ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
        options.Endpoint = http ? new Uri(spec.Otlp.ToString().TrimEnd('/') + "/v1/traces") : spec.Otlp;
        options.TimeoutMilliseconds = LongestMilliseconds;
        // Not the options' own headers: those are one string, in which a value cannot have a comma.
        options.HttpClientFactory = () =>
        {
            var http = new HttpClient { Timeout = TimeSpan.FromMilliseconds(LongestMilliseconds) };
            foreach (var (name, value) in spec.Headers)
            {
                http.DefaultRequestHeaders.TryAddWithoutValidation(name, value);
            }

            if (settings.Authorization is { } secret)
            {
                http.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", secret);
            }

            return http;
        };
        return options;
    }

    /// <summary>An operator hears that traces do not arrive, once, and once that they do again.</summary>
    private sealed class ToldExporter(OtlpExporterOptions options, Action<string> log) : OtlpTraceExporter(options)
    {
        private bool _failing;

        public override ExportResult Export(in Batch<Activity> activityBatch)
        {
            var result = base.Export(activityBatch);
            var fails = result == ExportResult.Failure;
            if (fails != _failing)
            {
                _failing = fails;
                log(fails ? "traces cannot be delivered to the OTLP collector: see 'telemetry' in the cluster's file, or OTEL_EXPORTER_OTLP_ENDPOINT" : "traces are delivered again");
            }

            return result;
        }
    }
}
