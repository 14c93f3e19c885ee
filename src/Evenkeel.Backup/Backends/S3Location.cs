using System.Text.RegularExpressions;

namespace Evenkeel.Backup.Backends;

/// <summary>Where an S3 repository is: <c>s3:https://HOST[:PORT]/BUCKET[/PATH]</c>, or <c>s3:HOST/BUCKET[/PATH]</c> for https, as restic names it.</summary>
/// <param name="Endpoint">Scheme, host and port.</param>
/// <param name="Bucket">The bucket.</param>
/// <param name="Prefix">What every key begins with: empty, or ending in '/'.</param>
/// <param name="Region">Of the signature.</param>
public sealed partial record S3Location(Uri Endpoint, string Bucket, string Prefix, string Region)
{
    private const string StandardRegion = "us-east-1";

    /// <summary>Reads a location; fails with <see cref="FormatException"/>.</summary>
    /// <param name="region">Null: the one that Amazon's host names say, else <c>us-east-1</c>, which other servers take.</param>
    public static S3Location Parse(string text, string? region = null)
    {
        var address = text.StartsWith("s3:", StringComparison.Ordinal) ? text["s3:".Length..] : text;
        if (!address.Contains("://", StringComparison.Ordinal))
        {
            address = "https://" + address.TrimStart('/');
        }
        if (!Uri.TryCreate(address, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https") || uri.UserInfo.Length > 0
            || uri.AbsolutePath.Split('/', StringSplitOptions.RemoveEmptyEntries) is not [var bucket, .. var rest])
        {
            // The text may hold a password, so it is not repeated.
            throw new FormatException("an S3 repository is named s3:https://HOST/BUCKET/PATH, without credentials");
        }
        var host = AmazonsHost().Match(uri.Host);
        return new S3Location(new Uri(uri.GetLeftPart(UriPartial.Authority)), Uri.UnescapeDataString(bucket),
            rest.Length == 0 ? "" : Uri.UnescapeDataString(string.Join('/', rest)) + "/",
            !string.IsNullOrEmpty(region) ? region : host.Success ? host.Groups["region"].Value : StandardRegion);
    }

    [GeneratedRegex(@"^s3[.-](dualstack\.)?(?<region>[a-z]{2}-[a-z-]+-\d)\.amazonaws\.com(\.cn)?$")]
    private static partial Regex AmazonsHost();
}
