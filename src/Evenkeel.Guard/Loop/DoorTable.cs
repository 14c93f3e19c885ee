using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection.Leases;
using Evenkeel.Guard.Enforcement;
using Evenkeel.Guard.Time;
using Door = Evenkeel.Core.PrivateConnection.Enforcement;

namespace Evenkeel.Guard.Loop;

/// <summary>The doors that were opened and are not yet known to be closed.</summary>
internal sealed class DoorTable(IEnforcer enforcer)
{
    private readonly Dictionary<(ResourceId, Epoch, Door), IDoor> _doors = [];

    public DoorResult Open(OpenDoor effect)
    {
        // This process may have stood still between decision and deed.
        if (Clocks.Read().IsPastDeadline(effect.Until))
            return Result(effect.Resource, effect.Epoch, effect.Door, DoorMove.Opened, "the guard was paused past the lease's end");
        var door = enforcer.DoorOf(effect.Resource, effect.Epoch, effect.Door);
        // Remembered also when it fails: it may be half open, and is then closed.
        _doors[(effect.Resource, effect.Epoch, effect.Door)] = door;
        return Result(effect.Resource, effect.Epoch, effect.Door, DoorMove.Opened, door.Open(effect.Until));
    }

    /// <returns>Null when all is well.</returns>
    public DoorResult? Renew(RenewDoor effect) =>
        _doors.TryGetValue((effect.Resource, effect.Epoch, effect.Door), out var door) && door.Renew(effect.Until) is { } error
            ? Result(effect.Resource, effect.Epoch, effect.Door, DoorMove.Renewed, error) : null;

    public DoorResult Close(CloseDoor effect)
    {
        var key = (effect.Resource, effect.Epoch, effect.Door);
        var error = _doors.TryGetValue(key, out var door) ? door.Close() : null;
        if (error is null) _doors.Remove(key);
        return Result(effect.Resource, effect.Epoch, effect.Door, DoorMove.Closed, error);
    }

    private static DoorResult Result(ResourceId resource, Epoch epoch, Door door, DoorMove move, string? error) => new(resource, epoch, door, move, error);
}
