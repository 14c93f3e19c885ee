using Microsoft.Win32.SafeHandles;

namespace Evenkeel.Agent.Host;

// etcd's own rotation (--enable-log-rotation) came with 3.5, knows nothing of what the shell writes there, and 3.4 is supported. etcd
// and the shell append, so the file can be cut under them, as the guard does with the logs of services (LogRotation there; the agent
// does not reference the guard). What is written between copy and cut is lost.

/// <summary>Keeps etcd's log at about 10 MiB, with the part before it as <c>.1</c>: whom etcd refuses must not be able to fill its disk.</summary>
internal static class EtcdLog
{
    public const long MaximumBytes = 10 << 20;

    /// <summary>Begins the file anew once it has grown past <paramref name="maximum"/>; what was in it goes where there is room for it.</summary>
    /// <returns>True when it was begun anew.</returns>
    /// <exception cref="IOException">It cannot be cut.</exception>
    public static bool Trim(string path, long maximum = MaximumBytes)
    {
        var file = new FileInfo(path);
        if (!file.Exists || file.Length <= maximum)
        {
            return false;
        }

        Keep(path, path + ".1");
        using SafeFileHandle log = File.OpenHandle(path, FileMode.Open, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        RandomAccess.SetLength(log, 0);
        return true;
    }

    private static void Keep(string path, string before)
    {
        try
        {
            try
            {
                File.Copy(path, before, overwrite: true);
            }
            catch (IOException)
            {
                // On a full disk the room is worth more than old words.
                File.Delete(before);
            }
        }
        catch (UnauthorizedAccessException)
        {
            // It goes without.
        }
    }
}
