using System.Runtime.InteropServices;
using Evenkeel.Backup.Snapshots;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Backup.Files;

/// <summary>Makes directories, files, links and devices, and gives them their metadata.</summary>
internal static unsafe class FileWriting
{
    private const int WriteOnly = 1, Create = 0x40, Exclusive = 0x80;
    private const int Hole = 64 << 10;

    public static SafeFileHandle Open(byte[] path, bool create)
    {
        var flags = WriteOnly | Native.OpenCloseOnExec | Native.NoFollow | (create ? Create | Exclusive : 0);
        var descriptor = Native.open(FileSystem.Terminated(path), flags, 0x180);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true) : throw new FileFailure("write", path, Marshal.GetLastPInvokeError());
    }

    /// <summary>Writes all but long runs of zeros, which a fresh file has anyway; the file gets its length either way.</summary>
    /// <remarks>Short runs are written: a hole of one page in every other page (databases) costs the file system more than it saves.</remarks>
    public static void WriteSparsely(SafeFileHandle handle, ReadOnlySpan<byte> content, long offset, long fileSize)
    {
        var from = 0;
        var holeAtEnd = false;
        while (from < content.Length)
        {
            var to = from;
            while (to < content.Length && !IsHole(content, to))
            {
                to += Math.Min(Hole, content.Length - to);
            }
            if (to > from)
            {
                RandomAccess.Write(handle, content[from..to], offset + from);
            }
            from = to;
            while (from < content.Length && IsHole(content, from))
            {
                from += Math.Min(Hole, content.Length - from);
            }
            holeAtEnd = from > to;
        }
        if (holeAtEnd && offset + content.Length >= fileSize)
        {
            RandomAccess.SetLength(handle, offset + content.Length);
        }
    }

    private static bool IsHole(ReadOnlySpan<byte> content, int at) => !content.Slice(at, Math.Min(Hole, content.Length - at)).ContainsAnyExcept((byte)0);

    public static void MakeDirectory(byte[] path)
    {
        var terminated = FileSystem.Terminated(path);
        if (Native.mkdir(terminated, 0x1c0) == 0)
        {
            return;
        }
        var error = Marshal.GetLastPInvokeError();
        if (error != Native.ErrorExists)
        {
            throw new FileFailure("make the directory", path, error);
        }
        // A link here would lead the restore out of its target.
        if (GoFileMode.FromLinux(FileSystem.Status(path).Mode).Kind != NodeKind.Dir)
        {
            Check(Native.unlink(terminated), "replace", path);
            Check(Native.mkdir(terminated, 0x1c0), "make the directory", path);
        }
    }

    /// <summary>Removes a file, link or device that is in the way; a directory is not removed.</summary>
    public static void Clear(byte[] path)
    {
        if (Native.unlink(FileSystem.Terminated(path)) != 0 && Marshal.GetLastPInvokeError() is not Native.ErrorNoEntry and var error)
        {
            throw new FileFailure("replace", path, error);
        }
    }

    public static void MakeEmptyFile(byte[] path) => Open(path, create: true).Dispose();

    public static void MakeHardLink(byte[] existing, byte[] path) =>
        Check(Native.link(FileSystem.Terminated(existing), FileSystem.Terminated(path)), "link", path);

    public static void MakeSpecial(byte[] path, Node node)
    {
        var terminated = FileSystem.Terminated(path);
        Check(
            node.Kind switch
            {
                NodeKind.Symlink => Native.symlink(FileSystem.Terminated(node.LinkTarget ?? []), terminated),
                NodeKind.Dev => Native.mknod(terminated, 0x6000 | 0x180, node.Device),
                NodeKind.CharDev => Native.mknod(terminated, 0x2000 | 0x180, node.Device),
                _ => Native.mknod(terminated, 0x1000 | 0x180, 0),
            },
            "make", path);
    }

    /// <summary>Owner, mode, attributes, times, in the order in which none undoes another.</summary>
    public static void ApplyMetadata(byte[] path, Node node)
    {
        var terminated = FileSystem.Terminated(path);
        if (Native.lchown(terminated, node.UserId, node.GroupId) != 0 && Native.UserId == 0)
        {
            throw new FileFailure("change the owner of", path, Marshal.GetLastPInvokeError());
        }
        if (node.Kind != NodeKind.Symlink)
        {
            Check(Native.chmod(terminated, GoFileMode.ToPermissions(node.Mode)), "change the mode of", path);
        }
        foreach (var attribute in node.ExtendedAttributes)
        {
            Check(Native.lsetxattr(terminated, FileSystem.Terminated(attribute.Name), attribute.Value, (nuint)attribute.Value.Length, 0),
                $"set the attribute {FileSystem.Display(attribute.Name)} of", path);
        }
        var times = stackalloc Native.TimeSpec[2];
        times[0] = new Native.TimeSpec { Seconds = node.Accessed.Seconds, Nanoseconds = node.Accessed.Nanoseconds };
        times[1] = new Native.TimeSpec { Seconds = node.Modified.Seconds, Nanoseconds = node.Modified.Nanoseconds };
        Check(Native.utimensat(Native.CurrentDirectory, terminated, times, Native.SymlinkNoFollow), "set the times of", path);
    }

    private static void Check(int result, string operation, byte[] path)
    {
        if (result != 0)
        {
            throw new FileFailure(operation, path, Marshal.GetLastPInvokeError());
        }
    }
}
