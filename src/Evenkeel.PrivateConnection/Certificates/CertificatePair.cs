using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Evenkeel.PrivateConnection.Certificates;

/// <summary>
/// A node's certificate and its key, which are two files because etcd and PostgreSQL want two: they change together. The new pair is
/// first written down as one file; whoever finds that file after a crash finishes what it began.
/// </summary>
public static class CertificatePair
{
    private const string JournalFile = "node.next";

    /// <summary>Puts the pair in place of the one before: a crash leaves the old pair or the new one.</summary>
    /// <exception cref="InvalidDataException">The certificate is not for the key; nothing was changed.</exception>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void ReplacePair(string directory, string certificate, string key)
    {
        Check(certificate, key);
        PrivateFile.Replace(Path.Combine(directory, JournalFile), certificate + key);
        Finish(directory);
    }

    /// <summary>Ends a change that a crash has cut short; nothing to do is the rule.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    /// <exception cref="InvalidDataException">The journal is no pair: somebody else wrote it.</exception>
    public static void Finish(string directory)
    {
        var journal = Path.Combine(directory, JournalFile);
        if (!File.Exists(journal))
        {
            return;
        }

        var text = File.ReadAllText(journal);
        var key = text.IndexOf("-----BEGIN PRIVATE KEY-----", StringComparison.Ordinal);
        if (key <= 0)
        {
            throw new InvalidDataException($"{journal} holds no certificate and key; delete it if you have put it there");
        }

        Check(text[..key], text[key..]);
        // Both are on disk before either is in place, so that a handshake in between finds two that do not fit for as short as can be.
        var commitKey = PrivateFile.Prepare(Path.Combine(directory, NodeCertificate.KeyFile), text[key..], PrivateFile.OwnerOnly);
        var commitCertificate = PrivateFile.Prepare(Path.Combine(directory, NodeCertificate.CertificateFile), text[..key], PrivateFile.Public);
        commitKey();
        commitCertificate();
        File.Delete(journal);
    }

    /// <summary>Authorities that the node trusts, one PEM after the other: who was signed by any of them is a member.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public static void ReplaceAuthorities(string directory, IEnumerable<string> authorities) =>
        PrivateFile.Replace(Path.Combine(directory, NodeCertificate.AuthorityFile), string.Concat(authorities.Select(one => one.Trim() + "\n")), PrivateFile.Public);

    private static void Check(string certificate, string key)
    {
        try
        {
            using var pair = X509Certificate2.CreateFromPem(certificate, key);
        }
        catch (Exception exception) when (exception is CryptographicException or ArgumentException)
        {
            throw new InvalidDataException($"the certificate is not for this node's key: {exception.Message}");
        }
    }
}
