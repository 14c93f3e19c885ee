namespace Evenkeel.Services.PostgreSql;

/// <summary>
/// Whether there is room for the next write. A server whose disk is full answers every question and refuses every write, until
/// the write that it cannot refuse, of its log, ends it: it counts as ill before that.
/// </summary>
internal static class Room
{
    /// <summary>PostgreSQL extends tables by up to 512 KiB at once (16 and later), the log by whole segments made beforehand.</summary>
    private const long LeastBytes = 1 << 20;

    /// <param name="dataDirectory">Its log may be on another file system.</param>
    /// <returns>Null when there is room.</returns>
    /// <exception cref="IOException">A file system cannot be asked.</exception>
    public static string? Problem(string dataDirectory)
    {
        // What is free for root alone does not count: the server is not root (statvfs, f_bavail).
        var full = new[] { dataDirectory, Path.Combine(dataDirectory, "pg_wal") }.FirstOrDefault(path => new DriveInfo(path).AvailableFreeSpace < LeastBytes);
        return full is null ? null : $"no room is left on the file system of {full}: free some";
    }
}
