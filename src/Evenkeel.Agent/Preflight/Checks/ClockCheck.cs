using System.Globalization;
using Evenkeel.Agent.Host;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>This server's clocks: disciplined, and of a rate that leases may be counted on.</summary>
internal sealed class ClockCheck(PreflightSubject subject) : PreflightCheck("clock", subject)
{
    private static readonly TimeSpan Measured = TimeSpan.FromMilliseconds(500);
    private static readonly string[] s_slowSources = ["jiffies", "refined-jiffies", "pit"];

    public override async Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        var found = new List<PreflightFinding>();
        var state = KernelCalls.WallClock();
        if (state is { Synchronised: false })
        {
            found.Add(Warning("nothing disciplines the clock: logs of several nodes cannot be compared, and certificates may seem expired", "Install chrony (apt install chrony), or timedatectl set-ntp true"));
        }

        var bound = Subject.Spec.Timings.DriftBound;
        var before = SystemClock.Now;
        await Task.Delay(Measured, cancellation).ConfigureAwait(false);
        var after = SystemClock.Now;
        // The one is corrected, the other never: the difference is what the correction does now.
        var slew = (double)(after.BootNanoseconds - before.BootNanoseconds) / (after.RawNanoseconds - before.RawNanoseconds) - 1;
        if (Math.Abs(slew) > bound / 2)
        {
            found.Add(Failed($"the clock is being corrected by {Percent(slew)} at this moment; leases allow nodes to differ by {Percent(bound)}", "Find out what sets it (chronyc tracking, timedatectl); step it once before the cluster starts"));
        }

        if (Source() is { } source && s_slowSources.Contains(source))
        {
            found.Add(Failed($"the kernel's clock source is {source}: too coarse for leases of {Subject.Spec.Timings.Lease.TotalMilliseconds:0} ms", "Boot without clocksource=, or with clocksource=tsc; see /sys/devices/system/clocksource/clocksource0/available_clocksource"));
        }

        return found.Count > 0 ? found : [Passed($"disciplined (to {(state?.MaximumError.TotalMilliseconds ?? 0).ToString("0.#", CultureInfo.InvariantCulture)} ms), rate corrected by {Percent(slew)}")];
    }

    private static string? Source()
    {
        try
        {
            return File.ReadAllText("/sys/devices/system/clocksource/clocksource0/current_clocksource").Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    internal static string Percent(double ratio) => (ratio * 100).ToString("0.####", CultureInfo.InvariantCulture) + " %";
}
