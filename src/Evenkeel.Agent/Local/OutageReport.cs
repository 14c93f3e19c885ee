namespace Evenkeel.Agent.Local;

/// <summary>What the probes of one span of time say.</summary>
/// <param name="Requests">Requests started in the span.</param>
/// <param name="Failures">Requests that failed, but for those counted in <paramref name="InFlightAtLostDoor"/>.</param>
/// <param name="InFlightAtLostDoor">Failures of requests that the lost owner of the front door had already accepted.</param>
/// <param name="LongestOutage">Longest gap between the starts of two successful requests.</param>
/// <param name="Slowest">The slowest success.</param>
/// <param name="Reasons">Failures by kind.</param>
public sealed record OutageReport(
    int Requests, int Failures, int InFlightAtLostDoor, TimeSpan LongestOutage, TimeSpan Slowest, IReadOnlyDictionary<string, int> Reasons)
{
    /// <param name="probes">In any order.</param>
    /// <param name="doorLostAt">When the node that held the front door was hit; null when another node was.</param>
    public static OutageReport Of(IEnumerable<Probe> probes, TimeSpan? doorLostAt)
    {
        var inOrder = probes.OrderBy(probe => probe.Started).ToList();
        var reasons = new SortedDictionary<string, int>(StringComparer.Ordinal);
        int failures = 0, inFlight = 0;
        TimeSpan longest = TimeSpan.Zero, slowest = TimeSpan.Zero;
        TimeSpan? lastSuccess = null;
        foreach (var probe in inOrder)
        {
            if (probe.Failure is null)
            {
                longest = Max(longest, probe.Started - (lastSuccess ?? probe.Started));
                slowest = Max(slowest, probe.Took);
                lastSuccess = probe.Started;
            }
            else if (probe.Connected && doorLostAt is { } lost && probe.Started <= lost && probe.Started + probe.Took >= lost)
            {
                inFlight++;
            }
            else
            {
                failures++;
                reasons[probe.Failure] = reasons.GetValueOrDefault(probe.Failure) + 1;
            }
        }

        if (inOrder.Count > 0 && inOrder[^1].Failure is not null)
        {
            longest = Max(longest, inOrder[^1].Started - (lastSuccess ?? inOrder[0].Started)); // it never came back
        }

        return new OutageReport(inOrder.Count, failures, inFlight, longest, slowest, reasons);
    }

    private static TimeSpan Max(TimeSpan left, TimeSpan right) => left > right ? left : right;
}
