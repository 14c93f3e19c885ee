using Evenkeel.Core.Loop;
using Prometheus;

namespace Evenkeel.Agent.Host.Metrics;

/// <summary>What is measured as it happens and kept while the agent runs: events by kind, the phases of failovers, the store's times.</summary>
internal sealed class RunningMetrics
{
    // A phase that takes longer than this was not one failover: its beginning is forgotten.
    private static readonly TimeSpan s_longestPhase = TimeSpan.FromMinutes(5);
    private static readonly double[] s_seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

    private readonly Counter _events;
    private readonly Histogram _phases;
    private readonly Histogram _store;
    private readonly Counter _storeFailures;
    private readonly Lock _gate = new();
    private readonly Dictionary<(AnnouncementKind Kind, string Resource), double> _began = [];

    public RunningMetrics()
    {
        var factory = Prometheus.Metrics.WithCustomRegistry(Registry);
        _events = factory.CreateCounter("evenkeel_events_total", "Events of this agent, by kind (evenkeel events).", "kind");
        _phases = factory.CreateHistogram("evenkeel_failover_phase_seconds",
            "Failovers that this node had a part in: decide is from the trouble's detection to the committed decision (on the controller), take_over from the acquired lease to service (on the new owner).",
            ["phase"], new HistogramConfiguration { Buckets = s_seconds });
        _store = factory.CreateHistogram("evenkeel_store_request_seconds", "Time of requests to the coordination store.", ["operation"], new HistogramConfiguration { Buckets = s_seconds });
        _storeFailures = factory.CreateCounter("evenkeel_store_request_failures_total", "Requests to the coordination store without a sure answer.", "operation");
    }

    public CollectorRegistry Registry { get; } = Prometheus.Metrics.NewCustomRegistry();

    public void StoreTook(string operation, TimeSpan time, bool answered)
    {
        _store.WithLabels(operation).Observe(time.TotalSeconds);
        if (!answered)
        {
            _storeFailures.WithLabels(operation).Inc();
        }
    }

    /// <summary>Quick enough for the loop's thread.</summary>
    public void Happened(Announcement said)
    {
        _events.WithLabels(said.Kind.ToString()).Inc();
        if (said.Kind == AnnouncementKind.ControllerDeposed)
        {
            ForgetDetected(); // another one decides now
            return;
        }

        if (said.Resource is not { } resource)
        {
            return;
        }

        var now = said.At.BootNanoseconds / 1e9;
        switch (said.Kind)
        {
            case AnnouncementKind.Detected or AnnouncementKind.Acquired: Begin(said.Kind, resource.Value, now); break;
            case AnnouncementKind.Recovered: Forget(AnnouncementKind.Detected, resource.Value); break;
            case AnnouncementKind.Committed: End(AnnouncementKind.Detected, resource.Value, now, "decide"); break;
            case AnnouncementKind.Serving: End(AnnouncementKind.Acquired, resource.Value, now, "take_over"); break;
            case AnnouncementKind.LeaseEnded: Forget(AnnouncementKind.Acquired, resource.Value); break;
        }
    }

    private void Begin(AnnouncementKind kind, string resource, double now)
    {
        lock (_gate)
        {
            _began[(kind, resource)] = now;
        }
    }

    private void Forget(AnnouncementKind kind, string resource)
    {
        lock (_gate)
        {
            _began.Remove((kind, resource));
        }
    }

    private void ForgetDetected()
    {
        lock (_gate)
        {
            foreach (var key in _began.Keys.Where(key => key.Kind == AnnouncementKind.Detected).ToList())
            {
                _began.Remove(key);
            }
        }
    }

    private void End(AnnouncementKind kind, string resource, double now, string phase)
    {
        lock (_gate)
        {
            if (_began.Remove((kind, resource), out var began) && now - began < s_longestPhase.TotalSeconds)
            {
                _phases.WithLabels(phase).Observe(now - began);
            }
        }
    }
}
