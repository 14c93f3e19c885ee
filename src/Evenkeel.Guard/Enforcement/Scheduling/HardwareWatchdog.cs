using Evenkeel.Core.Model;
using Evenkeel.Guard.Enforcement.Native;

namespace Evenkeel.Guard.Enforcement.Scheduling;

/// <summary>
/// /dev/watchdog (linux/watchdog.h; Documentation/watchdog/watchdog-api.rst): the machine is reset when the guard stops patting
/// it. Only where the cluster file asks for it. Closing it with the magic <c>V</c> disarms; a guard that dies without leaves it armed.
/// </summary>
public sealed unsafe class HardwareWatchdog : IDisposable
{
    private const nuint SetTimeout = 0xc004_5706; // WDIOC_SETTIMEOUT = _IOWR('W', 6, int)
    private static readonly TimeSpan PatEvery = TimeSpan.FromMilliseconds(500);
    private readonly int device;
    private Instant last;

    private HardwareWatchdog(int device, int seconds) => (this.device, Seconds) = (device, seconds);

    /// <summary>The time-out that the device has really set; devices round to what they can.</summary>
    public int Seconds { get; }

    /// <returns>Null with the reason where there is no device, it is in use, or it keeps no time-out.</returns>
    public static HardwareWatchdog? TryOpen(int seconds, out string? reason, string path = "/dev/watchdog")
    {
        reason = null;
        var device = Libc.open(path, Libc.OpenWriteOnly | Libc.OpenCloseOnExec, 0);
        if (device < 0)
        {
            reason = $"no watchdog: {path}: {Libc.Describe(Libc.LastError)}";
            return null;
        }
        var set = seconds;
        if (Libc.ioctl(device, SetTimeout, &set) == 0) return new HardwareWatchdog(device, set);
        reason = $"no watchdog: {path} keeps no time-out: {Libc.Describe(Libc.LastError)}";
        Disarm(device);
        return null;
    }

    /// <summary>Pats it when due; call at every turn of the guard's loop.</summary>
    public void Tick(Instant now)
    {
        if (now.Since(last) < PatEvery) return;
        last = now;
        byte any = 0;
        _ = Libc.write(device, &any, 1);
    }

    public void Dispose() => Disarm(device);

    private static void Disarm(int device)
    {
        var magic = (byte)'V';
        _ = Libc.write(device, &magic, 1);
        _ = Libc.close(device);
    }
}
