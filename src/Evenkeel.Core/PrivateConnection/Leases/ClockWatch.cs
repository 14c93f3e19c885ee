using Evenkeel.Core.Model;

namespace Evenkeel.Core.PrivateConnection.Leases;

/// <summary>
/// Notices a jump between the node's two clocks: after a suspend one of them has stood still, so neither can be trusted to
/// have measured what a lease lasted. Slewing (at most 0.05 % by NTP) is no jump; both readings are taken within microseconds.
/// </summary>
internal sealed class ClockWatch
{
    private const long Tolerance = 2_000_000;
    private Instant? _last;

    /// <summary>True when the clocks moved apart, or one moved back, since the last call.</summary>
    public bool JumpedAt(Instant now, double drift)
    {
        if (_last is not { } last) { _last = now; return false; }
        _last = now;
        var boot = now.BootNanoseconds - last.BootNanoseconds;
        var raw = now.RawNanoseconds - last.RawNanoseconds;
        return boot < 0 || raw < 0 || Math.Abs(boot - raw) > Tolerance + drift * Math.Max(boot, raw);
    }
}
