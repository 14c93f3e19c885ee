using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>This node's certificate and the authority that it trusts; judges who is at the other end of a connection.</summary>
public sealed class NodeCertificate : IDisposable
{
    public const string AuthorityFile = "ca.crt";
    public const string CertificateFile = "node.crt";
    public const string KeyFile = "node.key";

    private readonly X509Certificate2 _authority;

    private NodeCertificate(string directory, X509Certificate2 own, X509Certificate2 authority)
    {
        Directory = directory;
        Own = own;
        _authority = authority;
        Revoked = new RevocationList(directory);
    }

    public string Directory { get; }
    public X509Certificate2 Own { get; }

    /// <summary>Certificates of this cluster's authority that are refused all the same.</summary>
    public RevocationList Revoked { get; }

    /// <exception cref="InvalidDataException">A file is missing or cannot be read; says which.</exception>
    public static NodeCertificate Load(string directory)
    {
        try
        {
            using var pem = X509Certificate2.CreateFromPemFile(Path.Combine(directory, CertificateFile), Path.Combine(directory, KeyFile));
            return new NodeCertificate(
                directory,
                X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null),
                X509CertificateLoader.LoadCertificateFromFile(Path.Combine(directory, AuthorityFile)));
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"the node's certificate in {directory} cannot be used: {exception.Message}");
        }
    }

    /// <summary>Both directions: TLS 1.3, our certificate, and a peer of this cluster or nobody.</summary>
    public SslServerAuthenticationOptions ServerOptions(Action<string> refused) => new()
    {
        ServerCertificate = Own,
        ClientCertificateRequired = true,
        EnabledSslProtocols = System.Security.Authentication.SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, certificate, _, _) => Accept(certificate, refused),
    };

    /// <inheritdoc cref="ServerOptions"/>
    public SslClientAuthenticationOptions ClientOptions(NodeName? expected, Action<string> refused) => new()
    {
        TargetHost = expected?.Value ?? "evenkeel",
        ClientCertificates = [Own],
        EnabledSslProtocols = System.Security.Authentication.SslProtocols.Tls13,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, certificate, _, _) =>
            Accept(certificate, refused) && (expected is null || Refuse(NameOf(certificate!) != expected, $"expected {expected}, found {NameOf(certificate!)}", refused)),
    };

    /// <summary>The node that a certificate of this cluster names (its <c>CN</c>).</summary>
    public static NodeName NameOf(X509Certificate certificate)
    {
        using var full = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        return new NodeName(full.GetNameInfo(X509NameType.SimpleName, false));
    }

    /// <summary>Null when the certificate was signed by this cluster's authority, is valid now and not revoked; else why not.</summary>
    public string? WhyNot(X509Certificate? certificate)
    {
        if (certificate is null)
        {
            return "it showed no certificate";
        }

        using var full = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
        if (Revoked.NodeOf(full.SerialNumber) is { } removed)
        {
            return $"its certificate was revoked when {removed} was removed from the cluster";
        }

        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(_authority);
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(full)
            ? null
            : $"its certificate '{full.Subject}' is not accepted: {string.Join(", ", chain.ChainStatus.Select(status => status.StatusInformation.Trim()))}";
    }

    public void Dispose()
    {
        Own.Dispose();
        _authority.Dispose();
    }

    private bool Accept(X509Certificate? certificate, Action<string> refused) =>
        WhyNot(certificate) is not { } reason || Refuse(true, reason, refused);

    /// <returns>False when it was refused.</returns>
    private static bool Refuse(bool wrong, string reason, Action<string> refused)
    {
        if (wrong)
        {
            refused(reason);
        }

        return !wrong;
    }
}
