namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>Writes small files that matter: a reader sees the old one or the new one, and nobody but the owner ever a private one.</summary>
public static class PrivateFile
{
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    internal const UnixFileMode Public = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <exception cref="IOException">It could not be written; the old one is whole.</exception>
    public static void Replace(string path, string text, UnixFileMode mode = OwnerOnly) => Replace(path, System.Text.Encoding.UTF8.GetBytes(text), mode);

    /// <inheritdoc cref="Replace(string, string, UnixFileMode)"/>
    public static void Replace(string path, byte[] bytes, UnixFileMode mode = OwnerOnly) => Prepare(path, bytes, mode)();

    /// <summary>Writes it beside the old one, on disk, and returns what puts it in its place.</summary>
    /// <exception cref="IOException">It could not be written; the old one is whole.</exception>
    internal static Action Prepare(string path, string text, UnixFileMode mode) => Prepare(path, System.Text.Encoding.UTF8.GetBytes(text), mode);

    private static Action Prepare(string path, byte[] bytes, UnixFileMode mode)
    {
        var fresh = path + ".new";
        File.Delete(fresh);
        using (var stream = new FileStream(fresh, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode }))
        {
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        }

        return () => File.Move(fresh, path, overwrite: true);
    }
}
