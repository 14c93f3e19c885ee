using System.Net;

namespace Evenkeel.Backup.Backends;

/// <summary>What opening a place may need beside its name.</summary>
/// <param name="UserName">For a repository server; the access key for S3.</param>
/// <param name="Password">The user's (the secret key), which is not the repository's.</param>
/// <param name="AuthorityFile">PEM file of the only authorities to trust.</param>
public sealed record BackendCredentials(string? UserName = null, string? Password = null, string? AuthorityFile = null);

/// <summary>Chooses the backend by a place's name, as restic names places.</summary>
public static class BackendLocation
{
    /// <summary>Opens a place; fails with <see cref="FormatException"/> when the name makes no sense.</summary>
    public static IBackend Open(string place, BackendCredentials credentials, TimeProvider time)
    {
        if (place.StartsWith("rest:", StringComparison.Ordinal))
        {
            var user = credentials.UserName is null ? null : new NetworkCredential(credentials.UserName, credentials.Password);
            return new RetryingBackend(new RestBackend(RestLocation.Parse(place, user, credentials.AuthorityFile)), time);
        }
        if (place.StartsWith("sftp:", StringComparison.Ordinal))
        {
            return new RetryingBackend(new SftpBackend(SftpLocation.Parse(place)), time);
        }
        if (place.StartsWith("s3:", StringComparison.Ordinal))
        {
            var region = Environment.GetEnvironmentVariable("AWS_REGION") ?? Environment.GetEnvironmentVariable("AWS_DEFAULT_REGION");
            var key = credentials.UserName is null ? null : new NetworkCredential(credentials.UserName, credentials.Password);
            return new RetryingBackend(new S3Backend(S3Location.Parse(place, region), key, credentials.AuthorityFile), time);
        }
        if (place.StartsWith("local:", StringComparison.Ordinal))
        {
            return new LocalBackend(place["local:".Length..]);
        }
        var colon = place.IndexOf(':', StringComparison.Ordinal);
        // A directory whose name has a colon can be written with a slash before it, or as local:….
        return colon > 0 && !place[..colon].Contains('/', StringComparison.Ordinal)
            ? throw new FormatException($"'{place[..(colon + 1)]}' is no kind of place that is known; there are directories, local:, rest:, s3: and sftp:")
            : new LocalBackend(place);
    }
}
