using System.Runtime.InteropServices;
using Evenkeel.Backup.Snapshots;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Backup.Files;

/// <summary>A file could not be read or made; the backup goes on without it and says so.</summary>
internal sealed class FileFailure(string operation, byte[] path, int error) : Exception(
    $"{operation} {FileSystem.Display(path)}: {Marshal.GetPInvokeErrorMessage(error)}")
{
    public int Error { get; } = error;
}

/// <summary>Reads directories, metadata and content with byte paths (not zero-terminated; joined with '/').</summary>
internal static unsafe class FileSystem
{
    private const uint BasicMask = 0x7ff;
    private const int NameOffset = 19; // struct dirent: d_ino 8, d_off 8, d_reclen 2, d_type 1, d_name

    /// <summary>For messages: invalid bytes are replaced.</summary>
    public static string Display(ReadOnlySpan<byte> path) => System.Text.Encoding.UTF8.GetString(path.TrimEnd((byte)0));

    public static byte[] Terminated(ReadOnlySpan<byte> path)
    {
        var result = new byte[path.Length + 1];
        path.CopyTo(result);
        return result;
    }

    public static byte[] Join(ReadOnlySpan<byte> directory, ReadOnlySpan<byte> name)
    {
        var slash = directory is [.., (byte)'/'] ? 0 : 1;
        var result = new byte[directory.Length + slash + name.Length];
        directory.CopyTo(result);
        if (slash == 1)
        {
            result[directory.Length] = (byte)'/';
        }
        name.CopyTo(result.AsSpan(directory.Length + slash));
        return result;
    }

    /// <summary>The status of the path itself (links are not followed).</summary>
    public static Native.Statx Status(byte[] path)
    {
        if (Native.statx(Native.CurrentDirectory, Terminated(path), Native.SymlinkNoFollow, BasicMask, out var status) != 0)
        {
            throw new FileFailure("read the status of", path, Marshal.GetLastPInvokeError());
        }
        return status;
    }

    public static bool Exists(byte[] path) =>
        Native.statx(Native.CurrentDirectory, Terminated(path), Native.SymlinkNoFollow, BasicMask, out _) == 0;

    /// <summary>The device number as <c>st_dev</c> packs it.</summary>
    public static ulong DeviceNumber(uint major, uint minor) =>
        (minor & 0xff) | ((major & 0xfffUL) << 8) | ((minor & ~0xffUL) << 12) | ((major & ~0xfffUL) << 32);

    /// <summary>The names in a directory, sorted by their bytes.</summary>
    public static List<byte[]> List(byte[] path)
    {
        var directory = Native.opendir(Terminated(path));
        if (directory == 0)
        {
            throw new FileFailure("open the directory", path, Marshal.GetLastPInvokeError());
        }
        try
        {
            var names = new List<byte[]>();
            while (true)
            {
                Marshal.SetLastSystemError(0);
                var entry = Native.readdir(directory);
                if (entry == 0)
                {
                    var error = Marshal.GetLastPInvokeError();
                    if (error != 0)
                    {
                        throw new FileFailure("read the directory", path, error);
                    }
                    break;
                }
                var name = MemoryMarshal.CreateReadOnlySpanFromNullTerminated((byte*)entry + NameOffset);
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    names.Add(name.ToArray());
                }
            }
            names.Sort(static (a, b) => a.AsSpan().SequenceCompareTo(b));
            return names;
        }
        finally
        {
            _ = Native.closedir(directory);
        }
    }

    /// <summary>Opens a file for reading; a link in the last place is refused and a pipe does not block (it was neither a moment ago).</summary>
    public static SafeFileHandle OpenRead(byte[] path)
    {
        var descriptor = Native.open(Terminated(path), Native.OpenReadOnly | Native.OpenCloseOnExec | Native.NonBlocking | Native.NoFollow, 0);
        return descriptor >= 0 ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw new FileFailure("open", path, Marshal.GetLastPInvokeError());
    }

    public static byte[] ReadLink(byte[] path)
    {
        var buffer = stackalloc byte[4096];
        var length = Native.readlink(Terminated(path), buffer, 4096);
        return length >= 0 ? new ReadOnlySpan<byte>(buffer, (int)length).ToArray()
            : throw new FileFailure("read the link", path, Marshal.GetLastPInvokeError());
    }

    /// <summary>Extended attributes in the kernel's order; none where the file system has none.</summary>
    public static IReadOnlyList<ExtendedAttribute> Attributes(byte[] path)
    {
        var terminated = Terminated(path);
        var size = Native.llistxattr(terminated, null, 0);
        if (size == 0)
        {
            return [];
        }
        if (size < 0)
        {
            var error = Marshal.GetLastPInvokeError();
            return error is Native.ErrorNotSupported or Native.ErrorPermission or Native.ErrorNotPermitted ? []
                : throw new FileFailure("list the extended attributes of", path, error);
        }
        var names = new byte[size];
        fixed (byte* list = names)
        {
            size = Native.llistxattr(terminated, list, (nuint)names.Length);
        }
        var attributes = new List<ExtendedAttribute>();
        var rest = names.AsSpan(0, (int)Math.Max(0, size));
        while (rest.IndexOf((byte)0) is >= 0 and var end)
        {
            if (Attribute(terminated, rest[..(end + 1)]) is { } value)
            {
                attributes.Add(new ExtendedAttribute(rest[..end].ToArray(), value));
            }
            rest = rest[(end + 1)..];
        }
        return attributes;
    }

    private static byte[]? Attribute(byte[] path, ReadOnlySpan<byte> name)
    {
        fixed (byte* pointer = name)
        {
            // The value may grow between asking for its size and reading it.
            for (var attempt = 0; attempt < 4; attempt++)
            {
                var size = Native.lgetxattr(path, pointer, null, 0);
                if (size <= 0)
                {
                    return size == 0 ? [] : null;
                }
                var value = new byte[size];
                fixed (byte* buffer = value)
                {
                    size = Native.lgetxattr(path, pointer, buffer, (nuint)value.Length);
                }
                if (size >= 0)
                {
                    return value[..(int)size];
                }
            }
            return null;
        }
    }
}
