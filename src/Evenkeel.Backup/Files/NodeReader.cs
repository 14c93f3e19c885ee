using Evenkeel.Backup.Snapshots;

namespace Evenkeel.Backup.Files;

/// <summary>Makes a node of a path's metadata, as restic would.</summary>
internal sealed class NodeReader
{
    private readonly Accounts _accounts = new();

    /// <summary>The node, without content.</summary>
    public Node Read(byte[] path, Native.Statx status)
    {
        var (kind, mode) = GoFileMode.FromLinux(status.Mode);
        var modified = Time(status.Modified);
        var isDevice = kind is NodeKind.Dev or NodeKind.CharDev;
        return new Node
        {
            Name = path.AsSpan(path.AsSpan().LastIndexOf((byte)'/') + 1).ToArray(),
            Kind = kind,
            Mode = mode,
            Modified = modified,
            Accessed = modified, // restic's default: reading alone must not make a new tree
            Changed = Time(status.Changed),
            UserId = status.UserId,
            GroupId = status.GroupId,
            User = _accounts.User(status.UserId),
            Group = _accounts.Group(status.GroupId),
            Inode = status.Inode,
            DeviceId = FileSystem.DeviceNumber(status.HolderMajor, status.HolderMinor),
            Size = kind == NodeKind.File ? status.Size : 0,
            Links = kind is NodeKind.File or NodeKind.Symlink || isDevice ? status.Links : 0,
            LinkTarget = kind == NodeKind.Symlink ? FileSystem.ReadLink(path) : null,
            ExtendedAttributes = FileSystem.Attributes(path),
            Device = isDevice ? FileSystem.DeviceNumber(status.DeviceMajor, status.DeviceMinor) : 0,
        };
    }

    private static Timestamp Time(Native.StatxTime time) => Timestamp.Local(time.Seconds, (int)time.Nanoseconds);
}
