using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Preflight.Checks;
using Evenkeel.Core.Model;

namespace Evenkeel.Agent.Preflight;

/// <summary>
/// Another node's clocks against ours: the wall clocks' distance (half of the quickest answer's time is its error), and the
/// difference of the rates of CLOCK_BOOTTIME, which leases are counted on: two comparisons, some seconds apart.
/// </summary>
internal static class ClockComparison
{
    public const string Check = "clock-offset";
    private const int Samples = 12;
    private static readonly TimeSpan Apart = TimeSpan.FromSeconds(2);
    /// <summary>From here on logs cannot be put in order; beyond the second, certificates that are new may be refused.</summary>
    private static readonly TimeSpan Tolerable = TimeSpan.FromSeconds(1), Great = TimeSpan.FromMinutes(1);

    private sealed record Comparison(long OwnBoot, long BootAhead, long WallAhead, long Error);

    /// <param name="http">Open to the other node's desk.</param>
    /// <exception cref="HttpRequestException">It does not answer.</exception>
    public static async Task<IReadOnlyList<PreflightFinding>> CompareAsync(NodeName self, NodeName other, HttpClient http, double driftBound, CancellationToken cancellation)
    {
        var first = await BestAsync(http, cancellation).ConfigureAwait(false);
        await Task.Delay(Apart, cancellation).ConfigureAwait(false);
        var second = await BestAsync(http, cancellation).ConfigureAwait(false);
        var span = (double)(second.OwnBoot - first.OwnBoot);
        return [Offset(self, other, second), Rate(self, other, (second.BootAhead - first.BootAhead) / span, (first.Error + second.Error) / span, driftBound)];
    }

    private static PreflightFinding Offset(NodeName self, NodeName other, Comparison measured)
    {
        var ahead = TimeSpan.FromTicks(measured.WallAhead / 100);
        var words = $"{other}'s clock is {Milliseconds(ahead.Duration())} ms {(ahead < TimeSpan.Zero ? "behind" : "ahead of")} {self}'s (to {Milliseconds(TimeSpan.FromTicks(measured.Error / 100))} ms)";
        const string mend = "Set both by the same source: chrony, or timedatectl set-ntp true";
        return new(ahead.Duration() > Great ? PreflightVerdict.Failed : ahead.Duration() > Tolerable ? PreflightVerdict.Warning : PreflightVerdict.Passed,
            Check, other.Value, words, ahead.Duration() > Tolerable ? mend : null);
    }

    internal static PreflightFinding Rate(NodeName self, NodeName other, double difference, double error, double bound)
    {
        var words = $"{other}'s clock runs {ClockCheck.Percent(Math.Abs(difference))} {(difference < 0 ? "slower" : "faster")} than {self}'s (to {ClockCheck.Percent(error)}); leases allow {ClockCheck.Percent(bound)}";
        // Surely beyond half of it: what is measured in two seconds says little about the next hour.
        return Math.Abs(difference) - error > bound / 2
            ? new(PreflightVerdict.Failed, "clock-rate", other.Value, words, "Find out what sets either clock (chronyc tracking); a virtual machine's needs its host's clock source (kvm-clock)")
            : new(PreflightVerdict.Passed, "clock-rate", other.Value, words);
    }

    private static async Task<Comparison> BestAsync(HttpClient http, CancellationToken cancellation)
    {
        Comparison? best = null;
        for (var sample = 0; sample < Samples; sample++)
        {
            var before = ReadOwn();
            var theirs = await http.GetFromJsonAsync(PreflightDesk.Clocks, PreflightJson.Default.ClockReading, cancellation).ConfigureAwait(false)
                ?? throw new HttpRequestException("no clocks in the answer");
            var after = ReadOwn();
            var half = (after.BootNanoseconds - before.BootNanoseconds) / 2;
            var measured = new Comparison(before.BootNanoseconds + half, theirs.BootNanoseconds - before.BootNanoseconds - half, theirs.WallNanoseconds - before.WallNanoseconds - half, half);
            if (best is null || measured.Error < best.Error)
            {
                best = measured;
            }
        }

        return best ?? throw new UnreachableException();
    }

    public static ClockReading ReadOwn() => new(SystemClock.Now.BootNanoseconds, (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100);

    private static string Milliseconds(TimeSpan time) => time.TotalMilliseconds.ToString("0.##", CultureInfo.InvariantCulture);
}
