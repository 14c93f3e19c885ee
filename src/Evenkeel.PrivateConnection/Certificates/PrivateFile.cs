namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>Writes small files that matter: a reader sees the old one or the new one, and nobody but the owner ever a private one.</summary>
public static class PrivateFile
{
    public const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
    internal const UnixFileMode Public = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <exception cref="IOException">It could not be written; the old one is whole.</exception>
    public static void Replace(string path, string text, UnixFileMode mode = OwnerOnly) => Replace(path, System.Text.Encoding.UTF8.GetBytes(text), mode);

    /// <inheritdoc cref="Replace(string, string, UnixFileMode)"/>
    public static void Replace(string path, byte[] bytes, UnixFileMode mode = OwnerOnly)
    {
        var fresh = path + ".new";
        File.Delete(fresh);
        using (var stream = new FileStream(fresh, new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = mode }))
        {
            stream.Write(bytes);
            stream.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }
}
