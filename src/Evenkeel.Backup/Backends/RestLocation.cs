using System.Net;

namespace Evenkeel.Backup.Backends;

/// <summary>Where a REST repository is and who asks: <c>rest:https://user:password@host:8000/path/</c>.</summary>
/// <param name="Address">Without credentials, ending in '/'.</param>
/// <param name="Credential">For basic authentication; null without.</param>
/// <param name="AuthorityFile">PEM file of the only authorities to trust; null for the system's.</param>
public sealed record RestLocation(Uri Address, NetworkCredential? Credential, string? AuthorityFile = null)
{
    /// <summary>Reads a location; fails with <see cref="FormatException"/>. Credentials in the address win over the given ones.</summary>
    public static RestLocation Parse(string text, NetworkCredential? credential = null, string? authorityFile = null)
    {
        var address = text.StartsWith("rest:", StringComparison.Ordinal) ? text["rest:".Length..] : text;
        if (!Uri.TryCreate(address.TrimEnd('/') + "/", UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            // The text may hold a password, so it is not repeated.
            throw new FormatException("a REST repository is named rest:http://HOST:PORT/PATH or rest:https://HOST:PORT/PATH");
        }
        if (uri.UserInfo.Length > 0)
        {
            var parts = uri.UserInfo.Split(':', 2);
            credential = new NetworkCredential(Uri.UnescapeDataString(parts[0]), parts.Length > 1 ? Uri.UnescapeDataString(parts[1]) : "");
            uri = new UriBuilder(uri) { UserName = "", Password = "" }.Uri;
        }
        return new RestLocation(uri, credential, authorityFile);
    }
}
