using System.Security.Cryptography;
using System.Text;

namespace Evenkeel.Services.PostgreSql;

/// <summary>Where a server's socket is: open to its user and root alone, who are trusted as any role.</summary>
public static class SocketDirectory
{
    // A socket's path has room for 107 bytes (unix(7)); PostgreSQL adds its file's name.
    private const int Longest = 107 - 16;

    /// <summary>Beside the data, or, where that path would be too long, below /tmp.</summary>
    public static string Of(string dataDirectory) => Encoding.UTF8.GetByteCount(dataDirectory) + 4 <= Longest ? dataDirectory + ".run"
        : Path.Combine("/tmp", "evenkeel-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(dataDirectory)))[..16]);
}
