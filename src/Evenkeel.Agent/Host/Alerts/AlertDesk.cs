using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;
using Evenkeel.Services.Alerting;

namespace Evenkeel.Agent.Host.Alerts;

/// <summary>
/// Tells the receivers of the cluster's file what <c>status</c> finds. The controller's agent speaks for the cluster; an agent
/// that knows of no controller speaks for itself, for then nobody else may be able to.
/// </summary>
internal sealed class AlertDesk(AgentConfiguration configuration, Func<Versioned<ClusterSpec>?> spec, Func<CancellationToken, Task<StatusReport>> look, TimeProvider time, Action<string> log)
    : IAsyncDisposable
{
    private const int FormatVersion = 1;
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(1);
    // A failover of the controller is no reason that everybody speaks.
    private static readonly TimeSpan AlonePatience = TimeSpan.FromSeconds(5);
    private readonly AlertBook _book = new();
    private readonly Lock _gate = new();
    private Dictionary<string, ReceiverQueue> _queues = new(StringComparer.Ordinal);
    private IReadOnlyList<StandingAlert> _standing = [];
    private volatile bool _speaks;
    private long? _aloneSince;

    /// <summary>What <c>status</c> says of receivers that this agent does not reach.</summary>
    public IReadOnlyList<string> Problems => [.. Queues.Where(queue => queue.Problem.Length > 0).Select(queue => $"{queue.Receiver.Name}: {queue.Problem}")];

    public AlertsReport Report
    {
        get
        {
            lock (_gate)
            {
                return new AlertsReport(configuration.Node, _speaks, _standing, [.. _queues.Values.Select(queue => queue.Report).OrderBy(one => one.Name, StringComparer.Ordinal)]);
            }
        }
    }

    private IReadOnlyList<ReceiverQueue> Queues
    {
        get
        {
            lock (_gate)
            {
                return [.. _queues.Values];
            }
        }
    }

    /// <summary>Looks each second until cancelled, where the file names a receiver.</summary>
    public async Task RunAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Period, time);
        long seen = -1;
        try
        {
            while (await timer.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
            {
                if (spec() is { } committed && committed.Revision != seen)
                {
                    seen = committed.Revision;
                    await FollowAsync(committed.Value.Alerts).ConfigureAwait(false);
                }

                if (Queues.Count > 0)
                {
                    Tell(await look(cancellation).ConfigureAwait(false));
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The agent stops; its successor, or the next controller, tells what stands then.
        }
    }

    /// <summary>One attempt at one receiver, or at each; told by the agent that is asked.</summary>
    public async Task<Answer<Done>> TestAsync(string? receiver, CancellationToken cancellation)
    {
        var asked = Queues.Where(queue => receiver is null || queue.Receiver.Name == receiver).ToList();
        if (asked.Count == 0)
        {
            return receiver is null
                ? new Problem(ProblemKind.Refused, "the cluster's file names no receiver of alerts", "Add 'alerts' to it, see docs/operations/alerts.md")
                : new Problem(ProblemKind.Unknown, $"there is no receiver '{receiver}'", $"Known: {string.Join(", ", Queues.Select(queue => queue.Receiver.Name).Order(StringComparer.Ordinal))}");
        }

        var now = time.GetUtcNow();
        var alert = new StandingAlert("test", $"node/{configuration.Node}", Concern.Note, "this is a test of the way to you; nothing is the matter", "nothing", now);
        var results = await Task.WhenAll(asked.Select(async queue => (queue.Receiver.Name, Result: await queue.TryOnceAsync(Write(AlertState.Firing, alert), cancellation).ConfigureAwait(false)))).ConfigureAwait(false);
        var failed = results.Where(one => !one.Result.Done).ToList();
        return failed.Count == 0
            ? new Done($"{string.Join(", ", results.Select(one => one.Name))} got the test from {configuration.Node}")
            : new Problem(ProblemKind.Unavailable, string.Join("; ", failed.Select(one => $"{one.Name} did not get it from {configuration.Node}: {one.Result.Reason}")), "Any node may have to tell: each must reach the receiver");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var queue in Queues)
        {
            await queue.DisposeAsync().ConfigureAwait(false);
        }
    }

    private void Tell(StatusReport report)
    {
        _aloneSince = report.Controller is null ? _aloneSince ?? time.GetTimestamp() : null;
        var speaks = report.Controller?.Node == configuration.Node || (_aloneSince is { } since && time.GetElapsedTime(since) >= AlonePatience);
        IReadOnlyList<(AlertReceiverSpec, AlertState, StandingAlert)> due;
        lock (_gate)
        {
            due = _book.Observe(StatusFindings.Of(report), time.GetUtcNow(), speaks, [.. _queues.Values.Select(queue => queue.Receiver)]);
            _standing = _book.Standing;
        }

        _speaks = speaks;
        foreach (var (receiver, state, alert) in due)
        {
            _queues.GetValueOrDefault(receiver.Name)?.Add(Write(state, alert));
        }
    }

    // A receiver that is as before keeps what it has yet to be told.
    private async Task FollowAsync(IReadOnlyList<AlertReceiverSpec> receivers)
    {
        var before = _queues;
        var after = receivers.ToDictionary(receiver => receiver.Name, receiver => before.TryGetValue(receiver.Name, out var queue) && Same(queue.Receiver, receiver)
            ? queue : new ReceiverQueue(receiver, receiver.Webhook is null ? new CommandDelivery(receiver) : new WebhookDelivery(receiver), time, log), StringComparer.Ordinal);
        lock (_gate)
        {
            _queues = after;
        }

        foreach (var gone in before.Values.Except(after.Values))
        {
            await gone.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static bool Same(AlertReceiverSpec one, AlertReceiverSpec other) =>
        one with { Headers = other.Headers, Command = other.Command } == other
        && one.Headers.OrderBy(pair => pair.Key, StringComparer.Ordinal).SequenceEqual(other.Headers.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        && (one.Command ?? []).SequenceEqual(other.Command ?? []);

    private Notice Write(AlertState state, StandingAlert alert)
    {
        var fingerprint = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{configuration.Cluster}\n{alert.Alert}\n{alert.Subject}"))[..16]);
        var (stateWord, concern) = (state == AlertState.Firing ? "firing" : "resolved", alert.Concern.ToString().ToLowerInvariant());
        var message = new AlertMessage(FormatVersion, configuration.Cluster, configuration.Node, stateWord, alert.Alert, concern, alert.Subject, alert.What, alert.Do, fingerprint, alert.Since, alert.Until);
        return new Notice("msg_" + Guid.NewGuid().ToString("N"), time.GetUtcNow(), JsonSerializer.Serialize(message, ControlJson.Default.AlertMessage), new Dictionary<string, string>
        {
            ["EVENKEEL_CLUSTER"] = configuration.Cluster,
            ["EVENKEEL_ALERT"] = alert.Alert,
            ["EVENKEEL_STATE"] = stateWord,
            ["EVENKEEL_CONCERN"] = concern,
            ["EVENKEEL_SUBJECT"] = alert.Subject,
            ["EVENKEEL_WHAT"] = alert.What,
            ["EVENKEEL_DO"] = alert.Do,
        });
    }
}
