using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Tests.Store;

namespace Evenkeel.Tests.Transport;

/// <summary>A cluster's authority and certificates for tests, in a directory that goes with it.</summary>
internal sealed class TestCluster : IDisposable
{
    private readonly DirectoryInfo _directory = TestDirectory.InMemory("evenkeel-tls-");
    private readonly List<NodeCertificate> _loaded = [];
    private int _issued;

    public CertificateAuthority Authority { get; } = CertificateAuthority.Create("shop");
    public string Path => _directory.FullName;

    public NodeCertificate Issue(string node, DateTimeOffset? notAfter = null)
    {
        var directory = System.IO.Path.Combine(Path, $"{node}-{_issued++}");
        Authority.IssueNode(new NodeName(node), [IPAddress.Loopback], directory, notAfter ?? DateTimeOffset.UtcNow.AddDays(1));
        var certificate = NodeCertificate.Load(directory);
        _loaded.Add(certificate);
        return certificate;
    }

    public void Dispose()
    {
        _loaded.ForEach(certificate => certificate.Dispose());
        Authority.Dispose();
        _directory.Delete(recursive: true);
    }
}
