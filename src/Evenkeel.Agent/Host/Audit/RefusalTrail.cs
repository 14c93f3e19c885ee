using System.Net;
using Evenkeel.Agent.Control;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Host.Audit;

/// <summary>
/// Puts on the audit trail who was turned away at a door, and why. Who tries again and again is one entry a minute for each of its
/// addresses and reasons, with how often: a stranger must not be able to fill the disk, or to drive others' entries out.
/// </summary>
internal sealed class RefusalTrail(AuditTrail trail, NodeName node, TimeProvider time, Action<string> log)
{
    private const int MostKnown = 1000;
    private static readonly TimeSpan Period = TimeSpan.FromMinutes(1);
    private readonly Lock _gate = new();
    private readonly Dictionary<(string From, string What, string Reason), (DateTimeOffset Told, int Since)> _known = [];
    private int _overflow;

    /// <param name="door">Where, in words: <c>the private connection</c>.</param>
    /// <param name="from">Address, with or without a port.</param>
    /// <param name="reason">In our words: what a stranger sent belongs neither here nor in <paramref name="what"/>, since each other text is an entry of its own.</param>
    /// <param name="what">What was asked for; null: to connect.</param>
    public void Add(string door, string? from, string reason, string? what = null)
    {
        var who = from is not null && IPEndPoint.TryParse(from, out var endpoint) ? endpoint.Address.ToString() : from ?? "somebody";
        lock (_gate)
        {
            var now = time.GetUtcNow();
            var at = what is null ? door : $"{door} ({what})";
            what ??= $"connect to {door}";
            var key = (who, what, reason);
            var known = _known.GetValueOrDefault(key);
            if (known.Told + Period > now)
            {
                _known[key] = (known.Told, known.Since + 1);
                return;
            }

            foreach (var old in _known.Where(one => one.Value.Told + Period <= now && one.Value.Since == 0).Select(one => one.Key).ToList())
            {
                _known.Remove(old);
            }

            if (_known.Count >= MostKnown && !_known.ContainsKey(key))
            {
                // More strangers than there are places for: counted, and told with the next.
                _overflow++;
                return;
            }

            _known[key] = (now, 0);
            var more = (known.Since > 0 ? $", and {known.Since} times more since the last entry" : "") + (_overflow > 0 ? $"; {_overflow} others were not written down" : "");
            _overflow = 0;
            log($"refused {from} at {at}: {reason}{more}");
            trail.Add(new AuditEntry(now, node, null, who, null, what, "refused", reason + more));
        }
    }
}
