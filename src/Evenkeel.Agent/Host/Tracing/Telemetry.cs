using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;

namespace Evenkeel.Agent.Host.Tracing;

/// <summary>Traces of failovers, while somebody wants them: follows the cluster's file. Off, each call is one read of a field.</summary>
internal sealed class Telemetry(AgentConfiguration configuration, Func<FailoverTracer> tracer, Action<string> log) : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    private volatile FailoverTracer? _tracer;
    private IDisposable? _export;

    public void Happened(Announcement said) => _tracer?.Happened(said);

    public void Heard(GuardMessage message)
    {
        if (_tracer is { } on && message is LeaseChanged lease)
        {
            on.Held(lease);
        }
    }

    public async Task FollowAsync(Func<Versioned<ClusterSpec>?> spec, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Period);
        long seen = 0;
        // By the variables it is on before there is a file.
        Set(null);
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
            {
                if (spec() is { } committed && committed.Revision != seen)
                {
                    seen = committed.Revision;
                    Set(committed.Value.Telemetry);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The agent stops.
        }
    }

    /// <summary>Sends what waits, for at most some seconds.</summary>
    public void Dispose() => _export?.Dispose();

    private TelemetrySpec? _last;
    private bool _begun;

    private void Set(TelemetrySpec? wanted)
    {
        // A record with a dictionary is equal to itself alone, and each reading of the file is another one.
        if (_begun && Words(wanted) == Words(_last))
        {
            return;
        }

        (_begun, _last) = (true, wanted);
        TelemetrySettings? settings;
        try
        {
            settings = TelemetrySettings.Of(wanted, Environment.GetEnvironmentVariable);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            log($"no traces are sent: {wanted!.AuthorizationFile} cannot be read: {exception.Message}");
            settings = null;
        }

        _tracer = null;
        Interlocked.Exchange(ref _export, null)?.Dispose();
        if (settings is null)
        {
            return;
        }

        // In a method of its own: the packages are loaded only where they are used.
        _export = TelemetryExport.Open(settings, configuration, log);
        _tracer = tracer();
        log($"traces of failovers go to {settings.Spec?.Otlp.ToString() ?? "where OTEL_EXPORTER_OTLP_ENDPOINT says"}");
    }

    private static string Words(TelemetrySpec? spec) => spec is null ? "" : string.Join('\n', [spec.Otlp.ToString(), spec.Protocol.ToString(), spec.AuthorizationFile, .. spec.Headers.Select(header => $"{header.Key}: {header.Value}")]);
}
