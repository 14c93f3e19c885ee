using System.Security.Cryptography;
using Evenkeel.Agent.Setup;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Trust;

/// <summary>
/// The keys of certificate authorities that this node has: <c>ca/</c> below its state directory, and <c>ca/next/</c> while another
/// authority takes its place. Most nodes have none.
/// </summary>
internal sealed class AuthorityShelf(string stateDirectory)
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    public string Current { get; } = Path.Combine(stateDirectory, NodeSetup.AuthorityDirectory);
    private string Next => Path.Combine(Current, "next");

    /// <summary>Hash of the authority in <c>ca/</c>; null when this node has none, or it cannot be read.</summary>
    public string? CurrentHash => HashOf(Current);

    /// <summary>Hash of the authority in <c>ca/next/</c>; null when there is none.</summary>
    public string? NextHash => HashOf(Next);

    /// <summary>The authority with this hash; null when its key is not here. The caller's to dispose.</summary>
    public CertificateAuthority? Find(string? hash) => hash is null ? null : Open(Current, hash) ?? Open(Next, hash);

    /// <summary>The authority that is to take the other's place: made at the first call, the same one afterwards, whatever happened in between.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public TrustedAuthority PrepareNext(string cluster)
    {
        if (NextHash is null)
        {
            Directory.CreateDirectory(Current, OwnerOnly);
            Directory.CreateDirectory(Next, OwnerOnly);
            using var made = CertificateAuthority.Create(cluster);
            made.Save(Next);
        }

        using var next = CertificateAuthority.Load(Next);
        return new TrustedAuthority(next.Hash, next.CertificatePem);
    }

    /// <summary>The next one is the only one: the old key is overwritten. Repeated after a crash it ends what was begun.</summary>
    /// <exception cref="IOException">It cannot be written.</exception>
    public void Promote()
    {
        using (var next = CertificateAuthority.Load(Next))
        {
            next.Save(Current);
        }

        Directory.Delete(Next, recursive: true);
    }

    private static string? HashOf(string directory)
    {
        using var authority = Open(directory, null);
        return authority?.Hash;
    }

    private static CertificateAuthority? Open(string directory, string? hash)
    {
        if (!File.Exists(Path.Combine(directory, CertificateAuthority.KeyFile)))
        {
            return null;
        }

        try
        {
            var authority = CertificateAuthority.Load(directory);
            if (hash is null || authority.Hash == hash)
            {
                return authority;
            }

            authority.Dispose();
            return null;
        }
        catch (Exception exception) when (exception is InvalidDataException or CryptographicException or ArgumentException)
        {
            // Cut short between its two files; the other place has it whole.
            return null;
        }
    }
}
