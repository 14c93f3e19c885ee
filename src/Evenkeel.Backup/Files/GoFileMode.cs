using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Files;

/// <summary>Between Linux's <c>st_mode</c> and Go's <c>os.FileMode</c>, in which trees store modes.</summary>
internal static class GoFileMode
{
    private const uint Directory = 1u << 31, Symlink = 1u << 27, Device = 1u << 26, Pipe = 1u << 25, Socket = 1u << 24,
        SetUser = 1u << 23, SetGroup = 1u << 22, CharacterDevice = 1u << 21, Sticky = 1u << 20;

    public static (NodeKind Kind, uint Mode) FromLinux(uint mode)
    {
        var go = mode & 0x1ff;
        go |= (mode & 0x800) != 0 ? SetUser : 0;
        go |= (mode & 0x400) != 0 ? SetGroup : 0;
        go |= (mode & 0x200) != 0 ? Sticky : 0;
        return (mode & 0xf000) switch
        {
            0x8000 => (NodeKind.File, go),
            0x4000 => (NodeKind.Dir, go | Directory),
            0xa000 => (NodeKind.Symlink, go | Symlink),
            0x6000 => (NodeKind.Dev, go | Device),
            0x2000 => (NodeKind.CharDev, go | Device | CharacterDevice),
            0x1000 => (NodeKind.Fifo, go | Pipe),
            0xc000 => (NodeKind.Socket, go | Socket),
            _ => (NodeKind.Other, go),
        };
    }

    /// <summary>Permission, set-id and sticky bits for <c>chmod</c>.</summary>
    public static uint ToPermissions(uint go) =>
        (go & 0x1ff) | ((go & SetUser) != 0 ? 0x800u : 0) | ((go & SetGroup) != 0 ? 0x400u : 0) | ((go & Sticky) != 0 ? 0x200u : 0);
}
