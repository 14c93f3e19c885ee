using System.Runtime.InteropServices;
using Evenkeel.Guard.Enforcement.Native;
using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Guard.Enforcement.Processes;

// The service itself holds the file open for appending, so it cannot be renamed away. Its beginning is copied aside, then cut out
// from under the writer: by FALLOC_FL_COLLAPSE_RANGE where the file system can (ext4, xfs: not a line is lost), else by truncation,
// which loses what was written between copy and cut. (Rejected: a pipe through the guard; it would be in every line's way.)

/// <summary>Keeps a log file at about 10 MiB, with the two parts before it as <c>.1</c> and <c>.2</c>: 30 MiB in all.</summary>
internal static partial class LogRotation
{
    public const long MaximumBytes = 10 << 20;
    private const int CollapseRange = 8;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fallocate(SafeFileHandle file, int mode, long offset, long length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fchmod(SafeFileHandle file, uint mode);

    /// <summary>Rotates once the file has grown past <paramref name="maximum"/>. Failures leave the file as it is, for a later try.</summary>
    /// <returns>True when it was rotated.</returns>
    public static bool Rotate(string path, long maximum = MaximumBytes)
    {
        try
        {
            if (!File.Exists(path) || new FileInfo(path).Length <= maximum) return false;
            using var log = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
            var cut = RandomAccess.GetLength(log) & ~0xffffL; // Whole blocks: collapse takes nothing else.
            if (cut == 0) return false;
            Copy(log, path + ".new", cut);
            if (File.Exists(path + ".1")) File.Move(path + ".1", path + ".2", overwrite: true);
            File.Move(path + ".new", path + ".1", overwrite: true);
            if (fallocate(log, CollapseRange, 0, cut) == 0) return true;
            AppendRest(log, path + ".1", cut);
            RandomAccess.SetLength(log, 0);
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private static void Copy(SafeFileHandle from, string to, long length)
    {
        using var target = new FileStream(to, FileMode.Create, FileAccess.Write);
        _ = fchmod(target.SafeFileHandle, ProcessState.LogMode);
        Append(from, target, 0, length);
    }

    private static void AppendRest(SafeFileHandle from, string to, long offset)
    {
        using var target = new FileStream(to, FileMode.Append, FileAccess.Write);
        Append(from, target, offset, long.MaxValue);
    }

    private static void Append(SafeFileHandle from, FileStream target, long offset, long end)
    {
        var block = new byte[1 << 18];
        while (offset < end && RandomAccess.Read(from, block.AsSpan(0, (int)Math.Min(block.Length, end - offset)), offset) is var count and > 0)
        {
            target.Write(block, 0, count);
            offset += count;
        }
    }
}
