using Evenkeel.Core.Model;

namespace Evenkeel.Guard.Enforcement.Processes;

/// <summary>
/// The door of a single-active service: open, its processes may be launched; closed, none may, and the whole tree is dead. With
/// the guard killed, parent-death signal and <see cref="Keeper"/> close it; a frozen guard's is closed by the watchdog alone.
/// </summary>
public sealed class CgroupDoor(ProcessLauncher launcher, string instance) : IDoor
{
    private bool closed;

    public string? Open(Instant until)
    {
        if (closed) return "this door was closed: a later epoch needs a door of its own";
        launcher.Permit(instance);
        return null;
    }

    public string? Renew(Instant until) => closed ? "this door was closed" : null;

    public string? Close()
    {
        // Most trees end within a moment, which is worth waiting for once. Asked again, it only looks: there are other leases to renew.
        var again = closed;
        closed = true;
        return again ? launcher.Forbid(instance, 0) : launcher.Forbid(instance);
    }
}
