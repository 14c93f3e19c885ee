using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using Org.BouncyCastle.Crypto.Generators;

namespace Evenkeel.Backup.Server;

/// <summary>An htpasswd file with bcrypt hashes (<c>htpasswd -B</c>); read again when it changes. Safe for concurrent use.</summary>
/// <remarks>bcrypt is slow by design and every request carries the password, so a pair that was right stays right for a minute.
/// Wrong ones are never remembered, and only one is tried at a time: guessing stays slow.</remarks>
public sealed class PasswordFile
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(1);
    private const int MostRemembered = 1000;
    private readonly string _path;
    private readonly TimeProvider _time;
    private readonly Lock _gate = new();
    private readonly ConcurrentDictionary<string, DateTimeOffset> _right = new();
    private readonly byte[] _salt = RandomNumberGenerator.GetBytes(16);
    private Dictionary<string, string> _hashes;
    private DateTime _read;

    /// <summary>Reads the file; fails with <see cref="RepositoryError.Unavailable"/>, or <see cref="RepositoryError.UnknownFormat"/>
    /// when a line is no bcrypt hash.</summary>
    public PasswordFile(string path, TimeProvider time)
    {
        _path = path;
        _time = time;
        (_hashes, _read) = Load(path);
    }

    /// <summary>Whether the user has this password.</summary>
    public bool IsRight(string user, string password)
    {
        // Keyed with a secret, so that memory holds no quick hash of a password.
        var key = Convert.ToHexStringLower(HMACSHA256.HashData(_salt, Encoding.UTF8.GetBytes($"{user}\0{password}")));
        lock (_gate)
        {
            Refresh();
            if (_right.TryGetValue(key, out var until) && until > _time.GetUtcNow())
            {
                return true;
            }
            if (!_hashes.TryGetValue(user, out var hash) || !OpenBsdBCrypt.CheckPassword(hash, password.ToCharArray()))
            {
                return false;
            }
            if (_right.Count >= MostRemembered)
            {
                _right.Clear();
            }
            _right[key] = _time.GetUtcNow() + Remembered;
            return true;
        }
    }

    private void Refresh()
    {
        try
        {
            if (File.GetLastWriteTimeUtc(_path) != _read)
            {
                (_hashes, _read) = Load(_path);
                _right.Clear();
            }
        }
        catch (RepositoryException)
        {
            // A file that is being replaced: the old one stands until the new one can be read.
        }
    }

    private static (Dictionary<string, string>, DateTime) Load(string path)
    {
        var hashes = new Dictionary<string, string>(StringComparer.Ordinal);
        try
        {
            var written = File.GetLastWriteTimeUtc(path);
            var number = 0;
            foreach (var line in File.ReadLines(path).Select(l => l.Trim()))
            {
                number++;
                if (line.Length == 0 || line[0] == '#')
                {
                    continue;
                }
                var colon = line.IndexOf(':', StringComparison.Ordinal);
                if (colon <= 0 || line.Length != colon + 61 || !line.AsSpan(colon + 1).StartsWith("$2"))
                {
                    throw new RepositoryException(RepositoryError.UnknownFormat, $"{path}, line {number} is no bcrypt entry; make it with 'htpasswd -B'");
                }
                hashes[line[..colon]] = line[(colon + 1)..];
            }
            return (hashes, written);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RepositoryException(RepositoryError.Unavailable, $"the password file cannot be read: {e.Message}", e);
        }
    }
}
