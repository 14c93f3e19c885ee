using System.CommandLine;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Raid.Nbd;

namespace Evenkeel.Cli.Commands.Raid;

/// <summary>PEM files for both ends: this machine's certificate and key, and the authority that every other end's certificate must come from.</summary>
internal sealed class TlsFiles
{
    private readonly Option<string?> _certificate = new("--tls-cert") { Description = "PEM certificate of this machine: clients must use TLS, and members nbds:// are reached with it.", HelpName = "FILE" };
    private readonly Option<string?> _key = new("--tls-key") { Description = "PEM key of --tls-cert.", HelpName = "FILE" };
    private readonly Option<string?> _authority = new("--tls-ca") { Description = "PEM certificate of the authority that clients' and remote members' certificates must come from.", HelpName = "FILE" };
    private readonly Option<string[]> _allow = new("--allow") { Description = "Common name of a client that may use the export; every client of the authority when left out.", HelpName = "CN" };

    public IEnumerable<Option> Options => [_certificate, _key, _authority, _allow];

    /// <summary>What a command that serves nothing needs of them.</summary>
    public IEnumerable<Option> ClientOptions => [_certificate, _key, _authority];

    public bool AreGiven(ParseResult parsed) => parsed.GetValue(_certificate) is not null;

    public IEnumerable<string> Words(ParseResult parsed)
    {
        foreach (var option in new[] { _certificate, _key, _authority })
            if (parsed.GetValue(option) is { } file) foreach (var word in new[] { option.Name, Path.GetFullPath(file) }) yield return word;
        foreach (var name in parsed.GetValue(_allow) ?? []) foreach (var word in new[] { _allow.Name, name }) yield return word;
    }

    public NbdServerOptions Server(ParseResult parsed)
    {
        if (!AreGiven(parsed)) return new NbdServerOptions();
        var (own, authority) = Load(parsed);
        var allowed = parsed.GetValue(_allow) ?? [];
        return new NbdServerOptions
        {
            Tls = new SslServerAuthenticationOptions
            {
                ServerCertificate = own,
                ClientCertificateRequired = true,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => IsTrusted(certificate, authority),
            },
            Authorise = (certificate, _) => allowed.Length == 0 || certificate is X509Certificate2 client
                && allowed.Contains(client.GetNameInfo(X509NameType.SimpleName, forIssuer: false), StringComparer.Ordinal),
        };
    }

    public NbdClientOptions Client(ParseResult parsed)
    {
        if (!AreGiven(parsed)) return new NbdClientOptions();
        var (own, authority) = Load(parsed);
        return new NbdClientOptions
        {
            Tls = new SslClientAuthenticationOptions
            {
                ClientCertificates = [own],
                RemoteCertificateValidationCallback = (_, certificate, _, errors) =>
                    (errors & SslPolicyErrors.RemoteCertificateNameMismatch) == 0 && IsTrusted(certificate, authority),
            },
        };
    }

    private (X509Certificate2 Own, X509Certificate2 Authority) Load(ParseResult parsed)
    {
        if (parsed.GetValue(_key) is not { } key || parsed.GetValue(_authority) is not { } authority)
            throw new CommandFailedException(ExitCode.Usage, "--tls-cert needs --tls-key and --tls-ca.");
        return (X509Certificate2.CreateFromPemFile(parsed.GetValue(_certificate)!, key), X509CertificateLoader.LoadCertificateFromFile(authority));
    }

    private static bool IsTrusted(X509Certificate? certificate, X509Certificate2 authority)
    {
        if (certificate is not X509Certificate2 leaf) return false;
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        return chain.Build(leaf);
    }
}
