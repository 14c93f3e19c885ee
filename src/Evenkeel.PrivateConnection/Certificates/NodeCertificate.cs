using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Core.Model;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>This node's certificate and the authorities that it trusts, as they are now; judges who is at the other end of a connection.</summary>
public sealed class NodeCertificate : IDisposable
{
    public const string AuthorityFile = "ca.crt";
    public const string CertificateFile = "node.crt";
    public const string KeyFile = "node.key";

    private Identity _identity;

    private NodeCertificate(string directory, Identity identity)
    {
        Directory = directory;
        _identity = identity;
        Revoked = new RevocationList(directory);
    }

    /// <summary>A renewed certificate, or other trusted authorities, are in use: connections made from now on show and judge by them.</summary>
    public event Action? Changed;

    public string Directory { get; }
    public X509Certificate2 Own => Now.Own;

    /// <summary>The authorities whose signature makes a member: one, or two while one takes the other's place.</summary>
    public IReadOnlyList<X509Certificate2> Authorities => Now.Authorities;

    /// <summary>Hashes of <see cref="Authorities"/>, in order.</summary>
    public IReadOnlyList<string> Trusted => [.. Authorities.Select(AuthorityHash.Of)];

    /// <summary>Hash of the authority that has signed <see cref="Own"/>; null when it is none that this node trusts.</summary>
    public string? Issuer => Authorities.FirstOrDefault(one => one.SubjectName.RawData.AsSpan().SequenceEqual(Own.IssuerName.RawData)) is { } issuer ? AuthorityHash.Of(issuer) : null;

    /// <summary>Certificates of this cluster's authority that are refused all the same.</summary>
    public RevocationList Revoked { get; }

    private Identity Now => Volatile.Read(ref _identity);

    /// <exception cref="InvalidDataException">A file is missing or cannot be read; says which.</exception>
    public static NodeCertificate Load(string directory)
    {
        Finish(directory);
        return new NodeCertificate(directory, Read(directory));
    }

    /// <summary>Takes what is in the directory now; what it was stays in use where it cannot be read.</summary>
    /// <exception cref="InvalidDataException">A file is missing or cannot be read; says which.</exception>
    public void Reload()
    {
        Finish(Directory);
        Take();
    }

    /// <summary>The same where another process writes the files: nothing is written, and what that process has revoked is taken too.</summary>
    /// <inheritdoc cref="Reload" path="/exception"/>
    internal void Refresh()
    {
        Revoked.Reload();
        Take();
    }

    private void Take()
    {
        // The one before is left to the collector: handshakes may be using it.
        Volatile.Write(ref _identity, Read(Directory));
        Changed?.Invoke();
    }

    private static void Finish(string directory)
    {
        try
        {
            CertificatePair.Finish(directory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"the node's certificate in {directory} cannot be used: {exception.Message}");
        }
    }

    private static Identity Read(string directory)
    {
        try
        {
            using var pem = X509Certificate2.CreateFromPemFile(Path.Combine(directory, CertificateFile), Path.Combine(directory, KeyFile));
            var authorities = new X509Certificate2Collection();
            authorities.ImportFromPemFile(Path.Combine(directory, AuthorityFile));
            return authorities.Count > 0 ? new Identity(X509CertificateLoader.LoadPkcs12(pem.Export(X509ContentType.Pkcs12), null), [.. authorities])
                : throw new InvalidDataException($"the node's certificate in {directory} cannot be used: {AuthorityFile} holds no certificate of an authority");
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            throw new InvalidDataException($"the node's certificate in {directory} cannot be used: {exception.Message}");
        }
    }

    /// <summary>Both directions: TLS 1.3, our certificate, and a peer of this cluster or nobody.</summary>
    public SslServerAuthenticationOptions ServerOptions(Action<string> refused) => new()
    {
        // At each handshake anew: a listener's options outlive a certificate.
        ServerCertificateSelectionCallback = (_, _) => Own,
        ClientCertificateRequired = true,
        EnabledSslProtocols = System.Security.Authentication.SslProtocols.Tls13,
        // A session that is taken up again would bring the certificate of before.
        AllowTlsResume = false,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        RemoteCertificateValidationCallback = (_, certificate, _, _) => Accept(certificate, refused),
    };

    /// <inheritdoc cref="ServerOptions"/>
    public SslClientAuthenticationOptions ClientOptions(NodeName? expected, Action<string> refused) => new()
    {
        TargetHost = expected?.Value ?? "evenkeel",
        // At each handshake anew: the options of a connection pool outlive a certificate.
        LocalCertificateSelectionCallback = (_, _, _, _, _) => Own,
        EnabledSslProtocols = System.Security.Authentication.SslProtocols.Tls13,
        // A session that is taken up again would bring the certificate of before.
        AllowTlsResume = false,
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
        chain.ChainPolicy.CustomTrustStore.AddRange(Authorities.ToArray());
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        return chain.Build(full)
            ? null
            : $"its certificate '{full.Subject}' is not accepted: {string.Join(", ", chain.ChainStatus.Select(status => status.StatusInformation.Trim()))}";
    }

    public void Dispose()
    {
        Own.Dispose();
        foreach (var authority in Authorities)
        {
            authority.Dispose();
        }
    }

    private sealed record Identity(X509Certificate2 Own, IReadOnlyList<X509Certificate2> Authorities);

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
