using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Agent.Setup;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Preflight.Checks;

/// <summary>The node's certificate and its authority's: valid for a while yet, and the key for its owner alone. Nothing before there are any.</summary>
internal sealed class CertificateCheck(PreflightSubject subject) : PreflightCheck("certificates", subject)
{
    private static readonly TimeSpan Soon = TimeSpan.FromDays(14);
    private const UnixFileMode Others = UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite;

    public override Task<IReadOnlyList<PreflightFinding>> LookAsync(CancellationToken cancellation)
    {
        var directory = Path.Combine(Subject.StateDirectory, NodeSetup.CertificatesDirectory);
        return Task.FromResult<IReadOnlyList<PreflightFinding>>(Directory.Exists(directory)
            ? [Of(Path.Combine(directory, NodeCertificate.CertificateFile), "the node's certificate"), Of(Path.Combine(directory, NodeCertificate.AuthorityFile), "the authority's certificate"), .. Key(Path.Combine(directory, NodeCertificate.KeyFile))]
            : []);
    }

    private PreflightFinding Of(string file, string what)
    {
        try
        {
            using var certificate = X509CertificateLoader.LoadCertificateFromFile(file);
            var (from, until, now) = (certificate.NotBefore.ToUniversalTime(), certificate.NotAfter.ToUniversalTime(), DateTime.UtcNow);
            var days = ((until - now).TotalDays).ToString("0", CultureInfo.InvariantCulture);
            return now > until ? Failed($"{what} has expired on {until:yyyy-MM-dd}", "See docs/operations/certificates.md")
                : now < from ? Failed($"{what} is not valid before {from:yyyy-MM-dd HH:mm} UTC, and it is {now:yyyy-MM-dd HH:mm} here", "Set this server's clock")
                : until - now < Soon ? Warning($"{what} expires in {days} days", "See docs/operations/certificates.md")
                : Passed($"{what} is good for {days} days");
        }
        catch (Exception exception) when (exception is CryptographicException or IOException or UnauthorizedAccessException)
        {
            return Failed($"{what} cannot be read: {exception.Message}", "Run it as root; else make the node anew (evenkeel replace)");
        }
    }

    private IEnumerable<PreflightFinding> Key(string file)
    {
        if (File.Exists(file) && (File.GetUnixFileMode(file) & Others) != 0)
        {
            yield return Failed($"{file}, the node's private key, may be read by others", $"chmod 600 {file}; who has it can be this node");
        }
    }
}
