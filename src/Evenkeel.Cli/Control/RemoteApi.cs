using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.Cli.Control;

/// <summary>
/// The control API over TLS: an https URL, the token and the authority out of the environment, so that neither is in a list of
/// processes or a shell's history.
/// </summary>
internal static class RemoteApi
{
    public const string TokenVariable = "EVENKEEL_TOKEN", TokenFileVariable = "EVENKEEL_TOKEN_FILE", AuthorityVariable = "EVENKEEL_CA";

    public static bool Is(string where) => where.StartsWith("https://", StringComparison.OrdinalIgnoreCase);

    /// <exception cref="CommandFailedException">The URL, the token or the authority is missing or cannot be used.</exception>
    public static HttpClient Open(string url)
    {
        if (!Uri.TryCreate(url, UriKind.Absolute, out var address))
        {
            throw new CommandFailedException(ExitCode.Usage, $"'{url}' is no URL", "As in https://10.77.0.11:7807");
        }

        var token = Token();
        var client = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = Policy() } })
        {
            BaseAddress = address,
            Timeout = Timeout.InfiniteTimeSpan,
        };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    private static string Token()
    {
        if (Environment.GetEnvironmentVariable(TokenVariable) is { Length: > 0 } token)
        {
            return token.Trim();
        }

        if (Environment.GetEnvironmentVariable(TokenFileVariable) is not { Length: > 0 } file)
        {
            throw new CommandFailedException(ExitCode.Usage, $"the API takes a token, and neither {TokenVariable} nor {TokenFileVariable} is set", "On a node: evenkeel api token create NAME --role ROLE");
        }

        try
        {
            return File.ReadAllText(file).Trim();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandFailedException(ExitCode.Usage, $"{TokenFileVariable}: {exception.Message}");
        }
    }

    private static X509ChainPolicy Policy()
    {
        var policy = new X509ChainPolicy { RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
        if (Environment.GetEnvironmentVariable(AuthorityVariable) is not { Length: > 0 } file)
        {
            return policy; // the system's authorities: the API may stand behind a server with a certificate of theirs
        }

        policy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        try
        {
            policy.CustomTrustStore.ImportFromPemFile(file);
            return policy.CustomTrustStore.Count > 0 ? policy : throw new CryptographicException("it holds no certificate");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or CryptographicException)
        {
            throw new CommandFailedException(ExitCode.Usage, $"{AuthorityVariable}: {file} cannot be used: {exception.Message}", "On a node: evenkeel ca show > ca.pem");
        }
    }
}
