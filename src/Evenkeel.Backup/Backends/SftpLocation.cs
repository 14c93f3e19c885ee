namespace Evenkeel.Backup.Backends;

/// <summary>A directory on a machine that ssh reaches, as restic names it: <c>sftp:user@host:/path</c> or <c>sftp://user@host:port//path</c>.</summary>
/// <param name="Host">With <c>user@</c> where given.</param>
/// <param name="Port">Null for ssh's own choice.</param>
/// <param name="Path">Absolute, or relative to the user's home.</param>
public sealed record SftpLocation(string Host, int? Port, string Path)
{
    /// <summary>Reads a location; fails with <see cref="FormatException"/>.</summary>
    public static SftpLocation Parse(string text)
    {
        if (text.StartsWith("sftp://", StringComparison.Ordinal))
        {
            // The path begins after one slash: sftp://host//srv is absolute, sftp://host/srv below the home directory.
            if (Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Host.Length > 0 && uri.AbsolutePath.Length > 1)
            {
                return Checked(uri.UserInfo.Length > 0 ? $"{uri.UserInfo}@{uri.Host}" : uri.Host, uri.Port > 0 ? uri.Port : null,
                    Uri.UnescapeDataString(uri.AbsolutePath[1..]));
            }
        }
        else if (text.StartsWith("sftp:", StringComparison.Ordinal) && text["sftp:".Length..].Split(':', 2) is [{ Length: > 0 } host, { Length: > 0 } path])
        {
            return Checked(host, null, path);
        }
        throw new FormatException("an SFTP repository is named sftp:USER@HOST:/PATH or sftp://USER@HOST:PORT//PATH");
    }

    // ssh would take such a host for an option.
    private static SftpLocation Checked(string host, int? port, string path) => host[0] != '-' ? new SftpLocation(host, port, path)
        : throw new FormatException($"'{host}' is no host");
}
