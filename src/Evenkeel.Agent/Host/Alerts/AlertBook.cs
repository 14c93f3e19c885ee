using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Alerts;

/// <summary>
/// Which findings stand since when, and which receiver is to be told of which. Every agent keeps one; only the one that
/// speaks for the cluster tells. Who takes that over tells anew what stands, and what ended in the last minute: an alert
/// may come twice, but is not lost with its teller.
/// </summary>
internal sealed class AlertBook
{
    /// <summary>What is gone for a moment and comes back is the same alert still.</summary>
    public static readonly TimeSpan Settled = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(1);

    private sealed class Entry(StandingAlert alert)
    {
        public StandingAlert Alert { get; set; } = alert;
        public DateTimeOffset? GoneSince { get; set; }
        public Dictionary<string, DateTimeOffset> ToldAt { get; } = new(StringComparer.Ordinal);
        public HashSet<string> ToldOver { get; } = new(StringComparer.Ordinal);
    }

    private readonly SortedDictionary<(string Alert, string Subject), Entry> _entries = [];

    public IReadOnlyList<StandingAlert> Standing => [.. _entries.Values.Where(entry => entry.GoneSince is null).Select(entry => entry.Alert)];

    /// <summary>Takes a new look; answers with who is to be told what now.</summary>
    /// <param name="speaks">This agent tells; else it only remembers.</param>
    public IReadOnlyList<(AlertReceiverSpec Receiver, AlertState State, StandingAlert Alert)> Observe(
        IReadOnlyList<Finding> findings, DateTimeOffset now, bool speaks, IReadOnlyList<AlertReceiverSpec> receivers)
    {
        Remember(findings, now);
        return speaks ? [.. receivers.SelectMany(receiver => _entries.Values.SelectMany(entry => Due(receiver, entry, now)))] : [];
    }

    private void Remember(IReadOnlyList<Finding> findings, DateTimeOffset now)
    {
        var seen = findings.GroupBy(finding => (finding.Alert, finding.Subject)).ToDictionary(group => group.Key, group => group.ToList());
        foreach (var (key, found) in seen)
        {
            var alert = new StandingAlert(key.Alert, key.Subject, found.Max(finding => finding.Concern),
                string.Join("; ", found.Select(finding => finding.What)), found[0].Do, now);
            if (_entries.TryGetValue(key, out var entry) && (entry.GoneSince is not { } gone || now - gone < Settled))
            {
                entry.Alert = alert with { Since = entry.Alert.Since };
                entry.GoneSince = null;
            }
            else
            {
                _entries[key] = new Entry(alert);
            }
        }

        foreach (var (key, entry) in _entries.ToList())
        {
            if (!seen.ContainsKey(key)) entry.GoneSince ??= now;
            if (entry.GoneSince is { } gone && now - gone > Remembered) _entries.Remove(key);
        }
    }

    private static IEnumerable<(AlertReceiverSpec, AlertState, StandingAlert)> Due(AlertReceiverSpec receiver, Entry entry, DateTimeOffset now)
    {
        if (entry.Alert.Concern < receiver.From) yield break;
        if (entry.GoneSince is not { } gone)
        {
            var due = entry.ToldAt.TryGetValue(receiver.Name, out var last) ? receiver.Repeat is { } pause && now - last >= pause : now - entry.Alert.Since >= receiver.After;
            if (!due) yield break;
            entry.ToldAt[receiver.Name] = now;
            yield return (receiver, AlertState.Firing, entry.Alert);
        }
        else if (receiver.Resolved && now - gone >= Settled && gone - entry.Alert.Since >= receiver.After && entry.ToldOver.Add(receiver.Name))
        {
            yield return (receiver, AlertState.Resolved, entry.Alert with { Until = gone });
        }
    }
}
