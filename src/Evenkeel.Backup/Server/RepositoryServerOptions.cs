using System.Net;

namespace Evenkeel.Backup.Server;

/// <summary>How repositories are served.</summary>
public sealed record RepositoryServerOptions
{
    /// <summary>The directory that holds the repositories.</summary>
    public required string Directory { get; init; }

    /// <summary>Where to listen; port 0 takes a free one.</summary>
    public required IPEndPoint Listen { get; init; }

    /// <summary>PEM file with the certificate chain; null for plain HTTP.</summary>
    public string? CertificateFile { get; init; }

    /// <summary>PEM file with the certificate's key.</summary>
    public string? KeyFile { get; init; }

    /// <summary>htpasswd file (bcrypt) of the users; null lets everybody in.</summary>
    public string? PasswordFile { get; init; }

    /// <summary>htpasswd file of those who may also remove: whoever prunes an append-only repository. Their names are apart from the users'.</summary>
    public string? MaintenancePasswordFile { get; init; }

    /// <summary>Whether users may add and read, but remove nothing but locks.</summary>
    public bool AppendOnly { get; init; }

    /// <summary>Whether a user sees only what is below a folder of the user's own name.</summary>
    public bool PrivateRepositories { get; init; }

    /// <summary>Bytes that each user may store with <see cref="PrivateRepositories"/>, else all together; null for no limit.</summary>
    public long? QuotaBytes { get; init; }
}
