using System.Runtime.InteropServices;

namespace Evenkeel.Services.PostgreSql;

/// <summary>The few system calls that .NET does not offer: owners of files, and directories made durable.</summary>
internal static class Native
{
    public static bool IsRoot => geteuid() == 0;

    /// <exception cref="IOException">With the error number.</exception>
    public static void ChangeOwner(string path, uint user, uint group)
    {
        if (chown(path, user, group) != 0)
        {
            throw new IOException($"{path} cannot be given to user {user}: error {Marshal.GetLastPInvokeError()}");
        }
    }

    /// <summary>Makes what was created, renamed or deleted in the directory survive a loss of power (fsync(2) on the directory).</summary>
    /// <exception cref="IOException">With the error number.</exception>
    public static void SyncDirectory(string path)
    {
        var descriptor = open(path, 0x10000); // O_RDONLY | O_DIRECTORY
        var failed = descriptor < 0 || fsync(descriptor) != 0 ? Marshal.GetLastPInvokeError() : 0;
        if (descriptor >= 0)
        {
            _ = close(descriptor);
        }

        if (failed != 0)
        {
            throw new IOException($"{path} cannot be made durable: error {failed}");
        }
    }

    [DllImport("libc")]
    private static extern uint geteuid();

    [DllImport("libc", SetLastError = true)]
    private static extern int chown([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint user, uint group);

    [DllImport("libc", SetLastError = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int fsync(int descriptor);

    [DllImport("libc")]
    private static extern int close(int descriptor);
}
