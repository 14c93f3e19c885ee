using Evenkeel.Backup.Repository;

namespace Evenkeel.Backup.Snapshots;

/// <summary>What a node is, with restic's words.</summary>
public enum NodeKind
{
    /// <summary>A regular file.</summary>
    File,

    /// <summary>A directory.</summary>
    Dir,

    /// <summary>A symbolic link.</summary>
    Symlink,

    /// <summary>A block device.</summary>
    Dev,

    /// <summary>A character device.</summary>
    CharDev,

    /// <summary>A named pipe.</summary>
    Fifo,

    /// <summary>A socket: read where an old repository has one, never stored (its owner makes it anew).</summary>
    Socket,

    /// <summary>A kind that this program does not know; kept as it is.</summary>
    Other,
}

/// <summary>An extended attribute; ACLs are such, named <c>system.posix_acl_access</c> and <c>_default</c>.</summary>
/// <param name="Name">Bytes of the name.</param>
/// <param name="Value">Bytes of the value; may be empty.</param>
public sealed record ExtendedAttribute(byte[] Name, byte[] Value);

/// <summary>An entry of a directory as a tree stores it. Names and targets are bytes: Linux promises no encoding.</summary>
public sealed record Node
{
    /// <summary>The name, without path.</summary>
    public required byte[] Name { get; init; }

    /// <summary>What it is.</summary>
    public required NodeKind Kind { get; init; }

    /// <summary>Go's <c>os.FileMode</c>: permission bits, with type, set-id and sticky in the high bits.</summary>
    public uint Mode { get; init; }

    /// <summary>Last change of the content.</summary>
    public Timestamp Modified { get; init; }

    /// <summary>Last access; like restic's default, the time of last modification is written in its place.</summary>
    public Timestamp Accessed { get; init; }

    /// <summary>Last change of the inode.</summary>
    public Timestamp Changed { get; init; }

    /// <summary>Owner.</summary>
    public uint UserId { get; init; }

    /// <summary>Group.</summary>
    public uint GroupId { get; init; }

    /// <summary>Owner's name on the machine that was backed up; may be empty.</summary>
    public string User { get; init; } = "";

    /// <summary>Group's name; may be empty.</summary>
    public string Group { get; init; } = "";

    /// <summary>Inode number; with <see cref="DeviceId"/> it finds hard links.</summary>
    public ulong Inode { get; init; }

    /// <summary>Device that holds the file.</summary>
    public ulong DeviceId { get; init; }

    /// <summary>Length of a file, bytes.</summary>
    public ulong Size { get; init; }

    /// <summary>Number of hard links.</summary>
    public ulong Links { get; init; }

    /// <summary>A symbolic link's target.</summary>
    public byte[]? LinkTarget { get; init; }

    /// <summary>Extended attributes in the file system's order.</summary>
    public IReadOnlyList<ExtendedAttribute> ExtendedAttributes { get; init; } = [];

    /// <summary>A device's number.</summary>
    public ulong Device { get; init; }

    /// <summary>A file's chunks; null for everything else.</summary>
    public IReadOnlyList<ObjectId>? Content { get; init; }

    /// <summary>A directory's tree.</summary>
    public ObjectId? Subtree { get; init; }

    /// <summary>For messages: the name as text, invalid bytes replaced.</summary>
    public string DisplayName => System.Text.Encoding.UTF8.GetString(Name);
}
